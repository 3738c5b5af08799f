"""What the benches share: programs that are measured, simulated hosts, and verdicts."""

import argparse
import gzip
import http.client
import http.server
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"))

# What an instance writes each second, has waiting, and keeps.
LINES_A_SECOND = 10
MAILS = 200
TRACKING_LOGS = 20
TRACKING_LINES = 1000
LOGS = ["mta", "wfserver", "inMail", "stat", "web", "export", "import", "tracking"]
FIXTURES = HERE.parent / "tests/fixtures"

# The same groups as ours: module@instance of what is called nlserver.
GROUPS = r"""process_names:
- name: "{{.Matches.module}}@{{.Matches.instance}}"
  comm: [nlserver]
  cmdline: ['^\S+\s+(?P<module>[^-\s]\S*).*\s-instance:(?P<instance>\S+)']
- name: "{{.Matches.module}}@default"
  comm: [nlserver]
  cmdline: ['^\S+\s+(?P<module>[^-\s]\S*)']
"""


def in_namespaces(network=False):
    """Starts the program again where no other process comes and goes, and, with `network`, where no other program listens.
    Both need root."""
    if os.environ.get("CAMPAIGN_BENCH") != "1":
        os.environ["CAMPAIGN_BENCH"] = "1"
        spaces = ["--pid", "--fork", "--mount-proc", "--kill-child"] + (["--net"] if network else [])
        command = ["nice", "-n", "-10", "unshare", *spaces, sys.executable, *sys.argv]
        if os.geteuid() == 0:
            os.execvp("nice", command)
        if network:
            sys.exit("this bench needs root, for namespaces of its own")
        print("without root: whatever starts on this machine meanwhile is counted, too", file=sys.stderr)
    elif network:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def options(description):
    """A parser of arguments with those of every bench."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--exporter", type=pathlib.Path, default=TARGET / "release/campaign_exporter")
    parser.add_argument("--simulator", type=pathlib.Path, default=TARGET / "release/campaign-simulator")
    parser.add_argument("--before", type=pathlib.Path, help="another build of ours, to be measured beside it")
    return parser


def verdict(what, value, target=None, at_least=False):
    """Prints a ratio with its target."""
    told = ""
    if target is not None:
        well = value >= target if at_least else value <= target
        told = f"; target {'at least' if at_least else 'at most'} {target:.3g}: {'met' if well else 'NOT MET'}"
    print(f"  {what}: {value:.3f}{told}", flush=True)


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

    def scrape(self, path="/metrics", pause=0.05):
        """One scrape, compressed as Prometheus asks for it: the text, and the CPU that it took, in milliseconds."""
        before = self.cpu()
        try:
            answer = self.ask(path)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            # It closes a connection that was idle.
            self.connection = None
            answer = self.ask(path)
        body = answer.read()
        is_gzip = answer.headers.get("Content-Encoding") == "gzip"
        text = (gzip.decompress(body) if is_gzip else body).decode()
        if answer.status != 200:
            sys.exit(f"{self.name}: {answer.status} {text[:200]}")
        # What it does after the answer is part of the scrape.
        time.sleep(pause)
        return text, self.cpu() - before

    def ask(self, path):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        self.connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        return self.connection.getresponse()

    def wait(self):
        deadline = time.monotonic() + 20
        while True:
            try:
                return self.scrape()
            except OSError:
                self.connection = None
                if self.process.poll() is not None or time.monotonic() > deadline:
                    error = self.process.stderr.read1(4000).decode() if self.process.poll() is not None else ""
                    sys.exit(f"{self.name} does not answer: {error}")
                time.sleep(0.05)

    def usage(self):
        """Wake-ups and bytes written to files since it started, and the peak and the private memory in MB."""
        process = pathlib.Path(f"/proc/{self.process.pid}")
        status = [(task / "status").read_text() for task in process.glob("task/*")]
        wakeups = sum(int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M)[1]) for text in status)
        written = int(re.search(r"^write_bytes: (\d+)", (process / "io").read_text(), re.M)[1])
        peak = int(re.search(r"^VmHWM:\s+(\d+)", (process / "status").read_text(), re.M)[1]) / 1000
        rollup = (process / "smaps_rollup").read_text()
        private = sum(int(size) for size in re.findall(r"^Private_\w+:\s+(\d+) kB$", rollup, re.M)) / 1000
        return wakeups, written, peak, private

    def stop(self):
        self.process.terminate()
        self.process.communicate()


class SimulatedHost:
    """So many idle processes of Campaign, beside so many others."""

    def __init__(self, simulator, home, processes, others=0, threads=1, mappings=0):
        self.home, self.processes = home, processes
        numbers = {"processes": processes, "other": others, "threads": threads, "mappings": mappings}
        flags = [text for name, number in numbers.items() for text in (f"--{name}", str(number))]
        self.program = subprocess.Popen([simulator, "bench-host", home, *flags],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if not self.program.stdout.readline().startswith(b"ready"):
            sys.exit("the simulated host did not start")

    def stop(self):
        self.program.stdin.close()
        self.program.wait()


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


