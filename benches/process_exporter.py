#!/usr/bin/env python3
"""CPU and memory of the Campaign exporter against Debian's prometheus-process-exporter, on the same processes.

For each simulated host both are scraped as Prometheus does, once in an interval; what they use in between counts too.
Ours runs twice: with what process-exporter does, and with every collector on a host that has something for each: logs
and tracking logs that grow, mails that wait, a server that answers the probes, custom indicators. CPU is the kernel's
process clock, in nanoseconds, ended threads included. A measurement, not a test: it exits 0 whatever comes out.

    benches/process_exporter.py [--exporter PATH] [--simulator PATH] [--cycles N] [--interval SECONDS] [--host NAME]
"""

import argparse
import http.client
import http.server
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

# name: nlserver processes, others, threads and mappings of each
HOSTS = {
    "110 beside 200": (110, 200, 1, 0),
    "1,100 beside 1,000": (1100, 1000, 1, 0),
    "110, 20 threads, 300 mappings": (110, 0, 20, 300),
}
CPU_TARGET = 0.1
# Of a scrape with every collector, on the large host.
EVERYTHING_TARGET = 0.125
LARGE = 1000
MEMORY_TARGET = 0.5

# What an instance writes each second, has waiting, and keeps.
LINES_A_SECOND = 10
MAILS = 200
TRACKING_LOGS = 20
TRACKING_LINES = 1000
LOGS = ["mta", "wfserver", "inMail", "stat", "web", "export", "import", "tracking"]
FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "tests/fixtures"

# A metric of each collector that is not process-exporter's work.
EVIDENCE = ["campaign_log_messages_total", "campaign_tracking_log_lines_total", "campaign_mta_spool_files",
            "campaign_core_files", "campaign_probe_success", "campaign_pipelined_current_messages",
            "campaign_indicator_value", "campaign_port_bound"]

# The same groups as ours: module@instance of what is called nlserver.
GROUPS = r"""process_names:
- name: "{{.Matches.module}}@{{.Matches.instance}}"
  comm: [nlserver]
  cmdline: ['^\S+\s+(?P<module>[^-\s]\S*).*\s-instance:(?P<instance>\S+)']
- name: "{{.Matches.module}}@default"
  comm: [nlserver]
  cmdline: ['^\S+\s+(?P<module>[^-\s]\S*)']
"""


class Exporter:
    """A running exporter, and what it used."""

    def __init__(self, name, command, port, groups):
        self.name, self.port, self.groups = name, port, groups
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        # The clock of a process: clock_getcpuclockid(3).
        self.clock = (~self.process.pid << 3) | 2
        self.scrapes = []
        self.connection = None

    def cpu(self):
        return time.clock_gettime_ns(self.clock) / 1e6

    def scrape(self, path="/metrics"):
        """One scrape: the text, and the CPU that it took, in milliseconds."""
        before = self.cpu()
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        self.connection.request("GET", path, headers={"Accept-Encoding": "identity"})
        answer = self.connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise SystemExit(f"{self.name}: {answer.status} {text[:200]}")
        # What it does after the answer is part of the scrape.
        time.sleep(0.05)
        return text, self.cpu() - before

    def wait(self):
        deadline = time.monotonic() + 20
        while True:
            try:
                return self.scrape()
            except OSError:
                self.connection = None
                if self.process.poll() is not None or time.monotonic() > deadline:
                    error = self.process.stderr.read1(4000).decode() if self.process.poll() is not None else ""
                    raise SystemExit(f"{self.name} does not answer: {error}") from None
                time.sleep(0.05)

    def memory(self):
        """RSS and PSS, in MiB."""
        rollup = pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB$", rollup, re.M))
        return int(sizes["Rss"]) / 1024, int(sizes["Pss"]) / 1024

    def stop(self):
        self.process.terminate()
        self.process.communicate()


class Answers(http.server.BaseHTTPRequestHandler):
    """What the end points answer when all is well."""

    protocol_version = "HTTP/1.1"
    files = {"/r/test": "r_test.xml", "/nl/jsp/ping.jsp": "ping.txt", "/nl/jsp/mcPing.jsp": "mc_ping_ok.txt",
             "/status": "pipelined.json"}

    def do_GET(self):
        body = (FIXTURES / "probes" / self.files[self.path]).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Life:
    """Everything that a collector looks at, in the installation `home`; where it `grows`, it goes on until it is stopped."""

    def __init__(self, home, folder, grows=True):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.over = threading.Event()
        self.pausing = threading.Lock()
        # Lines written since the start.
        self.lines = 0
        self.probed = [f"http://127.0.0.1:{self.server.server_address[1]}{path}" for path in Answers.files]
        configuration = folder / "probes.yml"
        configuration.write_text(
            f"targets:\n  - name: front1\n    url: http://127.0.0.1:{self.server.server_address[1]}\n"
            "    probes: [redirection, ping, message_center, pipelined]\n    paths: {pipelined: /status}\n")
        self.flags = [f"--config.file={configuration}",
                      f"--collector.indicators.directory={FIXTURES / 'indicators'}"]
        example = FIXTURES / "host/nl6/var/prod"
        self.line = (example / "log/mta.log").read_bytes().splitlines(keepends=True)[0]
        self.click = (example / "redir/log/0x0000000000000001.log").read_bytes().splitlines(keepends=True)[0]
        self.growing = []
        for instance in sorted(path.parent for path in home.glob("var/*/log") if path.parent.name != "default"):
            for name in LOGS:
                (instance / f"log/{name}.log").write_bytes(self.line * 100)
            for number in range(TRACKING_LOGS):
                (instance / f"redir/log/0x{number:016x}.log").write_bytes(self.click * TRACKING_LINES)
            for number in range(MAILS):
                (instance / f"mta/mail-{number}").touch()
            if not grows:
                continue
            self.growing.append((instance / "log/mta.log", self.line))
            self.growing.append((instance / f"redir/log/0x{TRACKING_LOGS - 1:016x}.log", self.click))
        self.threads = [threading.Thread(target=self.server.serve_forever), threading.Thread(target=self.write)]
        for thread in self.threads:
            thread.start()

    def write(self):
        while not self.over.wait(1):
            with self.pausing:
                for path, line in self.growing:
                    with path.open("ab") as log:
                        log.write(line * LINES_A_SECOND)
                    self.lines += LINES_A_SECOND

    def pause(self, look):
        """What `look` sees when all that was written has been read, and how many lines were written until then."""
        with self.pausing:
            before, seen = None, look()
            while before != seen:
                time.sleep(2)
                before, seen = seen, look()
            return seen, self.lines

    def stop(self):
        self.over.set()
        self.server.shutdown()
        for thread in self.threads:
            thread.join()
        self.server.server_close()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def our_groups(text):
    found = re.findall(r'^campaign_module_processes\{campaign_instance="([^"]*)",module="([^"]*)"\} (\S+)', text, re.M)
    found += [(i, m, n) for m, i, n in
              re.findall(r'^campaign_module_processes\{module="([^"]*)",campaign_instance="([^"]*)"\} (\S+)', text, re.M)]
    return {f"{module}@{instance}": float(count) for instance, module, count in found if float(count) > 0}


def their_groups(text):
    found = re.findall(r'^namedprocess_namegroup_num_procs\{groupname="([^"]*)"\} (\S+)', text, re.M)
    return {name: float(count) for name, count in found if float(count) > 0}


def bench(name, size, options, folder):
    processes, others, threads, mappings = size
    home = folder / "nl6"
    simulator = subprocess.Popen(
        [options.simulator, "bench-host", home, "--processes", str(processes), "--other", str(others),
         "--threads", str(threads), "--mappings", str(mappings)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    exporters, life = [], None
    try:
        ready = simulator.stdout.readline().decode()
        if not ready.startswith("ready"):
            raise SystemExit(f"the simulated host did not start: {ready}")
        life = Life(home, folder)
        configuration = folder / "groups.yml"
        configuration.write_text(GROUPS)
        ports = [free_port() for _ in range(3)]
        ours = [options.exporter, f"--campaign.home={home}"]
        alone = ["--collector.disable-defaults", "--collector.process", "--collector.exporter",
                 "--collector.configuration"]
        exporters = [
            Exporter("process-exporter", [options.process_exporter, "-config.path", configuration,
                     "-web.listen-address", f"127.0.0.1:{ports[0]}"], ports[0], their_groups),
            Exporter("ours", ours + alone + [f"--web.listen-address=127.0.0.1:{ports[1]}"], ports[1], our_groups),
            Exporter("ours, every collector", ours + life.flags + [f"--storage.path={folder / 'state'}",
                     f"--web.listen-address=127.0.0.1:{ports[2]}"], ports[2], our_groups),
        ]
        seen = [exporter.groups(exporter.wait()[0]) for exporter in exporters]
        compare(seen, processes)
        # New processes are looked at more often for a while.
        time.sleep(5)
        for exporter in exporters:
            everything = exporter.scrape()[0]
        missing = [name for name in EVIDENCE if not re.search(rf"^{name}[{{ ]", everything, re.M)]
        if missing:
            raise SystemExit(f"with every collector there is no {', '.join(missing)}")
        begin = time.monotonic()
        starts = [exporter.cpu() for exporter in exporters]
        for cycle in range(1, options.cycles + 1):
            time.sleep(max(0, begin + cycle * options.interval - time.monotonic()))
            for exporter in exporters:
                exporter.scrapes.append(exporter.scrape()[1])
        used = [(exporter.cpu() - start) / options.cycles for exporter, start in zip(exporters, starts)]
        report(name, seen[1], exporters, used, options)
    finally:
        for exporter in exporters:
            exporter.stop()
        if life:
            life.stop()
        simulator.stdin.close()
        simulator.wait()


def compare(seen, processes):
    """Both must see the same processes, or the comparison says nothing."""
    theirs, ours, everything = seen
    if sum(ours.values()) != processes or ours != everything:
        raise SystemExit(f"there are {processes} processes, and we see {ours} and {everything}")
    if any(count > theirs.get(name, 0) for name, count in ours.items()):
        raise SystemExit(f"process-exporter does not see the groups that we see: {theirs} and {ours}")
    more = sum(theirs.values()) - sum(ours.values())
    if more:
        print(f"note: {more:.0f} nlserver processes of other installations run here; process-exporter takes them too")


def report(name, groups, exporters, used, options):
    print(f"host: {name} ({len(groups)} groups, {sum(groups.values()):.0f} nlserver processes)")
    print(f"  {'':24}{'CPU ms/' + format(options.interval, 'g') + ' s':>14}{'of it scrape':>14}{'between':>10}"
          f"{'RSS MiB':>10}{'PSS MiB':>10}")
    memory = [exporter.memory() for exporter in exporters]
    for exporter, cpu, (rss, pss) in zip(exporters, used, memory):
        scrape = sum(exporter.scrapes) / len(exporter.scrapes)
        print(f"  {exporter.name:24}{cpu:14.2f}{scrape:14.2f}{cpu - scrape:10.2f}{rss:10.1f}{pss:10.1f}")
    scrapes = [sum(exporter.scrapes) for exporter in exporters]
    is_large = sum(groups.values()) >= LARGE
    verdicts = [
        ("CPU", used[1] / used[0], CPU_TARGET),
        ("CPU of a scrape, every collector", scrapes[2] / scrapes[0], EVERYTHING_TARGET if is_large else None),
        ("CPU, every collector", used[2] / used[0], None),
        ("RSS", memory[1][0] / memory[0][0], MEMORY_TARGET),
        ("PSS", memory[1][1] / memory[0][1], MEMORY_TARGET),
    ]
    for what, ratio, target in verdicts:
        verdict = f"; target {target}: {'met' if ratio <= target else 'NOT MET'}" if target else ""
        print(f"  {what}: {ratio:.3f} of process-exporter's{verdict}")
    sys.stdout.flush()


def main():
    project = pathlib.Path(__file__).resolve().parent.parent
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", project / "target"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exporter", type=pathlib.Path, default=target / "release/campaign_exporter")
    parser.add_argument("--simulator", type=pathlib.Path, default=target / "release/campaign-simulator")
    parser.add_argument("--process-exporter", default="prometheus-process-exporter")
    parser.add_argument("--cycles", type=int, default=3, help="scrapes to measure")
    parser.add_argument("--interval", type=float, default=15, help="seconds from one scrape to the next")
    parser.add_argument("--host", choices=HOSTS, action="append", help="only this host; may be given more than once")
    options = parser.parse_args()
    for name in options.host or HOSTS:
        with tempfile.TemporaryDirectory(prefix="campaign-bench-") as folder:
            bench(name, HOSTS[name], options, pathlib.Path(folder))


if __name__ == "__main__":
    main()
