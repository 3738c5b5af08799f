#!/usr/bin/env python3
"""The Campaign exporter as people run it, with every collector, against what they would run instead on the same host.

Instead of it: Debian's prometheus-process-exporter, mtail with equal programs and prometheus-blackbox-exporter. One host is
idle; on the busy one 20 instances write logs and tracking logs each second, have mails in the spool, indicators, and end
points that are probed. All are scraped as Prometheus does. The bench ends with 1 when they did not see the same processes
and lines. Then, how many scrapes a second are answered, against prometheus-node-exporter without collectors.

    benches/defaults.py [--exporter PATH] [--simulator PATH] [--cycles N] [--interval SECONDS] [--only idle,busy,scrapes]
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from process_exporter import GROUPS, Exporter, Life, free_port, our_groups, their_groups

HERE = pathlib.Path(__file__).resolve().parent
# name: nlserver processes, others, whether everything happens
HOSTS = {"idle": (110, 200, False), "busy": (1100, 1000, True)}
CPU_TARGET = 0.1
MEMORY_TARGET = {"idle": 0.5, "busy": 1 / 3}
SCRAPES_TARGET = 4
P99_TARGET = 2.0
BLACKBOX = "modules:\n  http_2xx:\n    prober: http\n    http: {preferred_ip_protocol: ip4}\n"


def counted(text, *names):
    """The sum of all series of these metrics."""
    lines = (line for line in text.splitlines() if re.split("[{ ]", line)[0] in names)
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines)


def usage(exporter):
    """Wake-ups, bytes written to files, and the peak and the private memory in MB of an exporter, since it started."""
    process = pathlib.Path(f"/proc/{exporter.process.pid}")
    status = [(task / "status").read_text() for task in process.glob("task/*")]
    wakeups = sum(int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M)[1]) for text in status)
    written = int(re.search(r"^write_bytes: (\d+)", (process / "io").read_text(), re.M)[1])
    peak = int(re.search(r"^VmHWM:\s+(\d+)", (process / "status").read_text(), re.M)[1]) / 1000
    rollup = (process / "smaps_rollup").read_text()
    private = sum(int(size) for size in re.findall(r"^Private_\w+:\s+(\d+) kB$", rollup, re.M)) / 1000
    return wakeups, written, peak, private


class Host:
    """A simulated host, ours, and the three others on it."""

    def __init__(self, size, folder, options):
        processes, others, busy = size
        self.home = folder / "nl6"
        self.simulator = subprocess.Popen(
            [options.simulator, "bench-host", self.home, "--processes", str(processes), "--other", str(others)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if not self.simulator.stdout.readline().startswith(b"ready"):
            raise SystemExit("the simulated host did not start")
        self.life = Life(self.home, folder, busy)
        self.processes = processes
        ports = [free_port() for _ in range(4)]
        at = [f"127.0.0.1:{port}" for port in ports]
        (folder / "groups.yml").write_text(GROUPS)
        (folder / "blackbox.yml").write_text(BLACKBOX)
        logs = [f"{self.home}/var/*/log/*.log", f"{self.home}/var/*/redir/log/*.log"]
        self.ours = Exporter("campaign_exporter", [
            options.exporter, f"--campaign.home={self.home}", f"--storage.path={folder / 'state'}",
            f"--web.listen-address={at[0]}", *self.life.flags], ports[0], our_groups)
        self.process = Exporter("process-exporter", [
            "prometheus-process-exporter", "-config.path", folder / "groups.yml", "-web.listen-address", at[1]],
            ports[1], their_groups)
        self.mtail = Exporter("mtail", [
            "mtail", "--address", "127.0.0.1", "--port", str(ports[2]), "--progs", HERE / "programs", "--log_dir", folder,
            *(argument for path in logs for argument in ("--logs", path))], ports[2], None)
        self.blackbox = Exporter("blackbox_exporter", [
            "prometheus-blackbox-exporter", f"--config.file={folder / 'blackbox.yml'}", f"--web.listen-address={at[3]}"],
            ports[3], None)
        self.peers = [self.process, self.mtail, self.blackbox]
        for exporter in self.all():
            exporter.wait()

    def all(self):
        return [self.ours, *self.peers]

    def scrape(self):
        """One scrape of each; the texts of ours, process-exporter and mtail."""
        texts = [exporter.scrape()[0] for exporter in (self.ours, self.process, self.mtail)]
        for url in self.life.probed:
            answer = self.blackbox.scrape(f"/probe?module=http_2xx&target={url}")[0]
            if counted(answer, "probe_success") != 1:
                raise SystemExit(f"blackbox_exporter does not reach {url}")
        return texts

    def seen(self):
        """Processes and lines as ours and the others see them."""
        ours, processes, lines = self.scrape()
        return (
            (sum(our_groups(ours).values()),
             counted(ours, "campaign_log_messages_total", "campaign_tracking_log_lines_total")),
            (sum(their_groups(processes).values()), counted(lines, "messages_total", "tracking_lines_total")),
        )

    def stop(self):
        for exporter in self.all():
            exporter.stop()
        self.life.stop()
        self.simulator.stdin.close()
        self.simulator.wait()


def measure(name, size, folder, options):
    host = Host(size, folder, options)
    try:
        # New processes and files are looked at more often for a while.
        time.sleep(5)
        before = host.life.pause(host.seen)
        begin, start = time.monotonic(), [(exporter.cpu(), *usage(exporter)) for exporter in host.all()]
        for cycle in range(1, options.cycles + 1):
            time.sleep(max(0, begin + cycle * options.interval - time.monotonic()))
            host.scrape()
        seconds = time.monotonic() - begin
        end = [(exporter.cpu(), *usage(exporter)) for exporter in host.all()]
        compare(host, before, host.life.pause(host.seen))
        report(name, host, seconds, start, end, options.interval)
    finally:
        host.stop()


def compare(host, before, after):
    """All must have seen the same, or the comparison says nothing."""
    ours, theirs = ([seen[which] for seen, _ in (before, after)] for which in (0, 1))
    wrote = after[1] - before[1]
    for what, (first, last) in (("ours", ours), ("theirs", theirs)):
        if last[0] != host.processes or last[1] - first[1] != wrote:
            raise SystemExit(f"{what}: {last[0]:.0f} of {host.processes} processes, {last[1] - first[1]} of {wrote} lines")


def report(name, host, seconds, start, end, interval):
    print(f"host: {name} ({host.processes} nlserver processes), {seconds:.0f} s")
    print(f"  {'':20}{'CPU ms/' + format(interval, 'g') + ' s':>14}{'wake-ups/s':>12}{'written kB/s':>14}"
          f"{'peak MB':>10}{'private MB':>12}")
    rows = []
    for exporter, first, last in zip(host.all(), start, end):
        cpu, wakeups, written = ((last[at] - first[at]) / seconds for at in range(3))
        rows.append((cpu * interval, wakeups, written / 1000, last[3], last[4]))
        print(f"  {exporter.name:20}{rows[-1][0]:14.2f}{rows[-1][1]:12.1f}{rows[-1][2]:14.1f}{rows[-1][3]:10.1f}{rows[-1][4]:12.1f}")
    others = [sum(column) for column in zip(*rows[1:])]
    print(f"  {'the three together':20}{others[0]:14.2f}{others[1]:12.1f}{others[2]:14.1f}{others[3]:10.1f}{others[4]:12.1f}")
    verdict("CPU against process-exporter alone", rows[0][0] / rows[1][0], CPU_TARGET if name == "idle" else None)
    verdict("CPU against the three", rows[0][0] / others[0], CPU_TARGET)
    verdict("peak memory against the three", rows[0][3] / others[3], MEMORY_TARGET[name])
    sys.stdout.flush()


def verdict(what, value, target, at_least=False):
    well = target is None or (value >= target if at_least else value <= target)
    told = f"; target {target:.3g}: {'met' if well else 'NOT MET'}" if target is not None else ""
    print(f"  {what}: {value:.3f}{told}")


def wrk(port):
    """Scrapes a second, and the 99th percentile in ms."""
    command = ["wrk", "--threads", "1", "--connections", "4", "--duration", "5s", "--latency",
               f"http://127.0.0.1:{port}/metrics"]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout
    if "Non-2xx" in text:
        raise SystemExit(f"scrapes failed: {text}")
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def scrapes(folder, options):
    ports = free_port(), free_port()
    node = Exporter("node_exporter", ["prometheus-node-exporter", "--collector.disable-defaults",
                    f"--web.listen-address=127.0.0.1:{ports[0]}"], ports[0], None)
    try:
        node.wait()
        theirs = wrk(ports[0])
        print(f"scrapes: node_exporter without collectors {theirs[0]:.0f}/s, p99 {theirs[1]:.2f} ms")
        for processes in (1, 110):
            home = folder / f"nl6-{processes}"
            simulator = subprocess.Popen([options.simulator, "bench-host", home, "--processes", str(processes)],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            simulator.stdout.readline()
            ours = Exporter("ours", [options.exporter, f"--campaign.home={home}",
                            f"--storage.path={folder / f'state-{processes}'}",
                            f"--web.listen-address=127.0.0.1:{ports[1]}"], ports[1], None)
            try:
                ours.wait()
                rate, p99 = wrk(ports[1])
                print(f"  campaign_exporter, {processes} processes: {rate:.0f}/s, p99 {p99:.2f} ms")
                if processes == 1:
                    verdict("scrapes a second against node_exporter's", rate / theirs[0], SCRAPES_TARGET, at_least=True)
                    verdict("p99 in ms", p99, P99_TARGET)
            finally:
                ours.stop()
                simulator.stdin.close()
                simulator.wait()
    finally:
        node.stop()


def main():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exporter", type=pathlib.Path, default=target / "release/campaign_exporter")
    parser.add_argument("--simulator", type=pathlib.Path, default=target / "release/campaign-simulator")
    parser.add_argument("--cycles", type=int, default=4, help="scrapes to measure")
    parser.add_argument("--interval", type=float, default=15, help="seconds from one scrape to the next")
    parser.add_argument("--only", default="idle,busy,scrapes")
    options = parser.parse_args()
    for name in options.only.split(","):
        with tempfile.TemporaryDirectory(prefix="campaign-bench-") as folder:
            if name == "scrapes":
                scrapes(pathlib.Path(folder), options)
            else:
                measure(name, HOSTS[name], pathlib.Path(folder), options)


if __name__ == "__main__":
    main()
