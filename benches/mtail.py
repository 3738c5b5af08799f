#!/usr/bin/env python3
"""The Campaign exporter against Debian's mtail with an equivalent program, on the same log files at the same time.

Bytes per CPU second, lines lost while files rotate, what is seen of a file that is new, memory, what idle files cost, and
what the state costs that is stored: bytes and fsyncs, by strace. CPU is the kernel's process clock, in nanoseconds, ended
threads included. With `--before` another build of ours runs beside, and is no part of the verdicts.

    benches/mtail.py [--exporter PATH] [--before PATH] [--megabytes N] [--only ingest,fast,moderate,new,idle,store]
"""

import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from kit import HERE, TARGET, free_port, in_namespaces, options, verdict

LOGS = 20
ROTATE_AT = 10_000_000
BLOCK = 64 * 1024
IDLE_FILES = 1100
SPEED_TARGET = 100
MEMORY_TARGET = 0.5
IDLE_TARGET = 0.3

# What the logs grow by each second, for how many seconds, and how much of it our state may be.
GROWTH = 50_000
STORED_SECONDS = 90
STORED_TARGET = 0.02
SYNCS_TARGET = 12


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
        # A first line of its own: the product writes no two files with the same beginning.
        stamp = f"2021-05-31T09:00:00.000Z\t1\t1\t1\tinfo\tlog\t{self.path.name} {time.monotonic_ns()}\n".encode()
        os.write(self.file, stamp + block)
        self.size += len(stamp) + len(block)
        return len(stamp) + len(block)


class Bench:
    def __init__(self, options):
        self.options = options
        self.lines = Lines()

    def tools(self, home, names):
        """Ours, mtail, and the build of before where there is one."""
        log = home / "var/prod/log"

        def ours(name, program, storage):
            port = free_port()
            flags = [f"--web.listen-address=127.0.0.1:{port}", f"--campaign.home={home}", f"--storage.path={storage}"]
            alone = ["--collector.disable-defaults", "--collector.logs", "--collector.process.sample-interval=1m"]
            tool = Tool(name, [program, *flags, "--log.start=beginning", *alone], port)
            while not (storage / "logs.json").exists():
                time.sleep(0.05)
            return tool

        tools = [ours("campaign_exporter", self.options.exporter, home / "state")]
        port = free_port()
        files = ",".join(str(log / f"{name}.log") for name in names)
        flags = ["--address", "127.0.0.1", "--port", str(port), "--log_dir", str(home)]
        tools.append(Tool("mtail", ["mtail", *flags, "--progs", HERE / "programs/campaign.mtail", "--logs", files], port))
        if self.options.before:
            tools.append(ours("before", self.options.before, home / "state-before"))
        return tools

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
            if tool is tools[0]:
                print(f"  {'':18} {tool.sum('campaign_log_skipped_bytes_total')} bytes reported as skipped")
                verdict("lines lost", lost, 0)
        ours, theirs = tools[:2]
        verdict("bytes per CPU second against mtail", speed[ours.name] / speed[theirs.name], SPEED_TARGET, at_least=True)
        verdict("peak memory against mtail", memory[ours.name] / memory[theirs.name], MEMORY_TARGET)
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
            print(f"  {tool.name:18} {tool.memory():6.1f} MB at most")
            verdict(f"{tool.name}: ms CPU a second", cost, IDLE_TARGET if tool is tools[0] else None)
        self.clean(home, tools)

    def store(self):
        """What is written of the state, and how often it is made durable, while nothing rotates."""
        home = self.home()
        names = [f"log{number}" for number in range(LOGS)]
        logs = [Log(home / "var/prod/log", name) for name in names]
        tools = self.tools(home, names)
        ours = [tool for tool in tools if tool.name != "mtail"]
        over = threading.Event()

        def grow():
            block = self.lines.blocks[0][0][:GROWTH]
            block = block[: block.rindex(b"\n") + 1]
            while not over.wait(1):
                for log in logs:
                    log.write(block, False)

        writer = threading.Thread(target=grow)
        writer.start()
        # What was there at the start has been stored then.
        time.sleep(15)

        def written(tool):
            return int(re.search(r"^write_bytes: (\d+)", pathlib.Path(f"/proc/{tool.process.pid}/io").read_text(), re.M)[1])

        sizes = sum(log.size for log in logs)
        before = [written(tool) for tool in ours]
        tracers = []
        for tool in ours:
            told = home / f"{tool.name}.strace"
            command = ["strace", "-f", "-q", "-e", "trace=fsync,fdatasync,sync_file_range", "-o", told, "-p", str(tool.process.pid)]
            tracers.append((subprocess.Popen(command, stderr=subprocess.DEVNULL), told))
        time.sleep(STORED_SECONDS)
        grown = sum(log.size for log in logs) - sizes
        print(f"\n{LOGS} logs that grow by {grown / STORED_SECONDS / LOGS / 1000:.0f} kB a second, over {STORED_SECONDS} s")
        for tool, first, (tracer, told) in zip(ours, before, tracers):
            share = (written(tool) - first) / grown
            tracer.terminate()
            tracer.wait()
            syncs = sum("sync" in line and "resumed" not in line for line in told.read_text().splitlines())
            verdict(f"{tool.name}: bytes stored of those written to logs", share, STORED_TARGET if tool is tools[0] else None)
            verdict(f"{tool.name}: fsyncs a minute", syncs * 60 / STORED_SECONDS, SYNCS_TARGET if tool is tools[0] else None)
        over.set()
        writer.join()
        self.clean(home, tools)

    def clean(self, home, tools):
        for tool in tools:
            tool.end()
        shutil.rmtree(home)


def main():
    parser = options(__doc__)
    parser.add_argument("--megabytes", default=300, type=int, help="what the ingest bench writes")
    parser.add_argument("--only", default="ingest,fast,moderate,new,idle,store")
    parser.add_argument("--directory", default=TARGET, type=pathlib.Path, help="where the logs are written")
    arguments = parser.parse_args()
    in_namespaces()
    bench = Bench(arguments)
    for name in arguments.only.split(","):
        getattr(bench, name)()


if __name__ == "__main__":
    main()
