#!/usr/bin/env python3
"""The Campaign exporter against Debian's mtail with an equivalent program, on the same log files at the same time.

Bytes per CPU second, lines lost while files rotate, what is seen of a file that is new, memory, and what idle files cost. CPU
is the kernel's process clock, in nanoseconds, ended threads included. A measurement, not a test: it exits 0 whatever comes out.

    benches/mtail.py [--exporter PATH] [--megabytes N] [--only ingest,fast,moderate,new,idle] [--directory PATH]
"""

import argparse
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

LOGS = 20
ROTATE_AT = 10_000_000
BLOCK = 64 * 1024
IDLE_FILES = 1100
SPEED_TARGET = 40
MEMORY_TARGET = 0.5
IDLE_TARGET = 1.0


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Tool:
    """A running reader of logs, and what it used."""

    def __init__(self, name, command, port, environment=None):
        self.name, self.port = name, port
        environment = dict(os.environ, **(environment or {}))
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        # The clock of a process: clock_getcpuclockid(3).
        self.clock = (~self.process.pid << 3) | 2
        deadline = time.monotonic() + 60
        while True:
            try:
                self.metrics()
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{name} does not answer: {' '.join(map(str, command))}")
                time.sleep(0.05)

    def cpu(self):
        """CPU seconds since it started."""
        return time.clock_gettime_ns(self.clock) / 1e9

    def memory(self):
        """The most memory it ever had resident, in MB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1000

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as answer:
            return answer.read().decode()

    def sum(self, *names):
        lines = (line for line in self.metrics().splitlines() if line.split("{")[0] in names)
        return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines)

    def messages(self):
        return self.sum("campaign_log_messages_total", "messages_total")

    def end(self):
        self.process.terminate()
        self.process.wait(timeout=30)


class Lines:
    """Blocks of log lines, with the number of messages in each; ready-made, so that writing them costs little."""

    def __init__(self):
        numbers = random.Random(7)
        self.blocks = []
        for number in range(32):
            lines, messages, size = [], 0, 0
            while size < BLOCK:
                level = numbers.choice(["info"] * 7 + ["warning", "error", "error"])
                code = "INT-150012 " if numbers.random() < 0.1 else ""
                text = "The delivery of the workflow went to its recipients " * numbers.randint(1, 3)
                second = messages % 60
                line = (
                    f"2021-05-31T08:{number:02}:{second:02}.{messages % 1000:03}Z\t{60000 + number}\t66501\t1\t{level}"
                    f"\tlog\t{code}{text}\n"
                )
                lines.append(line)
                size += len(line)
                messages += 1
            self.blocks.append(("".join(lines).encode(), messages))


class Log:
    """A log that is written as syslogd does: at ROTATE_AT the file becomes X_2.log and a new one begins."""

    def __init__(self, directory, name):
        self.path, self.old = directory / f"{name}.log", directory / f"{name}_2.log"
        self.file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.size = 0

    def write(self, block, rotates):
        if rotates and self.size >= ROTATE_AT:
            os.rename(self.path, self.old)
            os.close(self.file)
            self.file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            self.size = 0
        # A first line of its own: files with the same beginning are no case of the product.
        stamp = f"2021-05-31T09:00:00.000Z\t1\t1\t1\tinfo\tlog\t{self.path.name} {time.monotonic_ns()}\n".encode()
        os.write(self.file, stamp + block)
        self.size += len(stamp) + len(block)
        return len(stamp) + len(block)


class Bench:
    def __init__(self, options):
        self.options = options
        self.lines = Lines()

    def tools(self, home, names):
        log = home / "var/prod/log"
        storage = home / "state"
        port = free_port()
        ours = Tool(
            "campaign_exporter",
            [
                self.options.exporter,
                f"--web.listen-address=127.0.0.1:{port}",
                f"--campaign.home={home}",
                f"--storage.path={storage}",
                "--log.start=beginning",
                "--collector.disable-defaults",
                "--collector.logs",
                "--collector.process.sample-interval=1m",
            ],
            port,
        )
        while not (storage / "logs.json").exists():
            time.sleep(0.05)
        port = free_port()
        program = pathlib.Path(__file__).parent / "programs/campaign.mtail"
        files = ",".join(str(log / f"{name}.log") for name in names)
        theirs = Tool(
            "mtail",
            ["mtail", "--address", "127.0.0.1", "--port", str(port), "--progs", program, "--logs", files]
            + ["--log_dir", str(home)],
            port,
        )
        return ours, theirs

    def home(self):
        home = pathlib.Path(tempfile.mkdtemp(prefix="campaign-bench-", dir=self.options.directory))
        (home / "conf").mkdir()
        (home / "conf/serverConf.xml").write_text("<?xml version='1.0'?>\n<serverconf><shared/></serverconf>\n")
        (home / "var/prod/log").mkdir(parents=True)
        return home

    def write(self, logs, total, rotates, rate=None):
        """Writes `total` bytes over all logs. Returns messages, bytes and seconds."""
        begin, messages, written, number = time.monotonic(), 0, 0, 0
        while written < total:
            block, in_block = self.lines.blocks[number % len(self.lines.blocks)]
            written += logs[number % len(logs)].write(block, rotates)
            messages += in_block + 1
            number += 1
            if rate:
                ahead = written / rate - (time.monotonic() - begin)
                if ahead > 0:
                    time.sleep(ahead)
        return messages, written, time.monotonic() - begin

    def wait(self, tools, messages):
        """Waits until each tool has counted all messages, or counts no more. CPU seconds at that moment, by tool."""
        done, last = {}, {}
        while len(done) < len(tools):
            for tool in tools:
                count = tool.messages()
                seen, since = last.get(tool.name, (-1, 0))
                if count != seen:
                    last[tool.name] = (count, time.monotonic())
                if tool.name not in done and (count >= messages or time.monotonic() - last[tool.name][1] > 8):
                    done[tool.name] = tool.cpu()
            time.sleep(0.2)
        return done

    def with_rotation(self, title, rotates, rate, total):
        home = self.home()
        names = [f"log{number}" for number in range(LOGS)]
        logs = [Log(home / "var/prod/log", name) for name in names]
        tools = self.tools(home, names)
        before = {tool.name: tool.cpu() for tool in tools}
        counted = {tool.name: tool.messages() for tool in tools}
        messages, written, seconds = self.write(logs, total, rotates, rate)
        after = self.wait(tools, messages)
        print(f"\n{title}: {messages} messages, {written / 1e6:.0f} MB at {written / 1e6 / seconds:.0f} MB/s")
        speed, memory = {}, {}
        for tool in tools:
            used = after[tool.name] - before[tool.name]
            lost = messages - (tool.messages() - counted[tool.name])
            # What was lost took no time.
            read = written * (1 - lost / messages)
            speed[tool.name], memory[tool.name] = read / 1e6 / used, tool.memory()
            print(
                f"  {tool.name:18} {used / (read / 1e9):7.2f} CPU s/GB  {read / 1e6 / used:7.0f} MB per CPU s"
                f"  {lost:9} lost ({lost / messages:.2%})  {memory[tool.name]:6.1f} MB at most"
            )
            if tool.name == "campaign_exporter":
                print(f"  {'':18} {tool.sum('campaign_log_skipped_bytes_total')} bytes reported as skipped")
        ours, theirs = tools
        print(f"  speed {speed[ours.name] / speed[theirs.name]:.0f} times (target {SPEED_TARGET}),", end=" ")
        print(f"memory {memory[ours.name] / memory[theirs.name]:.2f} of it (target {MEMORY_TARGET})")
        self.clean(home, tools)

    def ingest(self):
        self.with_rotation("Ingest, no rotation", False, None, self.options.megabytes * 1_000_000)

    def fast(self):
        self.with_rotation("Rotation, as fast as it can be written", True, None, 1_000_000_000)

    def moderate(self):
        self.with_rotation("Rotation, moderate rate", True, 20e6, 500_000_000)

    def new(self):
        home = self.home()
        tools = self.tools(home, ["new"])
        log = Log(home / "var/prod/log", "new")
        messages, written, _ = self.write([log], 20_000_000, False)
        self.wait(tools, messages)
        print(f"\nA new file with {written / 1e6:.0f} MB in it: {messages} messages")
        for tool in tools:
            lost = messages - tool.messages()
            print(f"  {tool.name:18} {lost:9} lost ({lost / messages:.2%})")
        self.clean(home, tools)

    def idle(self):
        home = self.home()
        names = [f"log{number}" for number in range(IDLE_FILES)]
        for name in names:
            (home / "var/prod/log" / f"{name}.log").write_bytes(self.lines.blocks[0][0][: 4096])
        tools = self.tools(home, names)
        time.sleep(20)
        seconds = 60
        before = {tool.name: tool.cpu() for tool in tools}
        time.sleep(seconds)
        print(f"\n{IDLE_FILES} idle files, over {seconds} s")
        for tool in tools:
            cost = (tool.cpu() - before[tool.name]) / seconds * 1000
            target = f" (target {IDLE_TARGET})" if tool is tools[0] else ""
            print(f"  {tool.name:18} {cost:7.2f} ms CPU a second{target}  {tool.memory():6.1f} MB at most")
        self.clean(home, tools)

    def clean(self, home, tools):
        for tool in tools:
            tool.end()
        shutil.rmtree(home)


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exporter", default=root / "target/release/campaign_exporter", type=pathlib.Path)
    parser.add_argument("--megabytes", default=300, type=int, help="what the ingest bench writes")
    parser.add_argument("--only", default="ingest,fast,moderate,new,idle")
    parser.add_argument("--directory", default=root / "target", type=pathlib.Path, help="where the logs are written")
    options = parser.parse_args()
    if shutil.which("mtail") is None:
        sys.exit("mtail is not installed: apt-get install mtail")
    bench = Bench(options)
    for name in options.only.split(","):
        getattr(bench, name)()


if __name__ == "__main__":
    main()
