#!/usr/bin/env python3
"""What a scrape costs while something is wrong, against one of the healthy host; and beside many established connections.

In namespaces of its own, with a simulated host that runs as another user than root: a port that is not served, one that
another program holds, a folder of logs that may not be read, a /proc that hides other users' processes, and connections over
the loopback interface. CPU is the kernel's process clock, in nanoseconds. Needs root.

    benches/faults.py [--exporter PATH] [--simulator PATH] [--before PATH] [--scrapes N] [--connections N]
"""

import os
import pathlib
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from kit import Exporter, free_port, in_namespaces, options, verdict

FAULT_TARGET = 1.2
CONNECTIONS_TARGET = 1.1
ROUNDS = 9
# Scrapes within five milliseconds share one look at the host.
NEXT_LOOK = 0.01
# The user of Campaign and the exporter, and another user for the exporter.
CAMPAIGN, STRANGER = 65534, 65533
WEB_PORTS = [8080, 8005]


class Ours:
    """One build of ours, watching the simulated host."""

    def __init__(self, name, program, home, folder, uid=CAMPAIGN):
        port = free_port()
        copied = folder / f"{name}-{uid}"
        shutil.copy(program, copied)
        state = folder / f"state-{name}-{uid}"
        state.mkdir()
        os.chown(state, uid, uid)
        self.exporter = Exporter(name, [
            "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", copied, f"--campaign.home={home}",
            f"--storage.path={state}", f"--web.listen-address=127.0.0.1:{port}"], port, None)
        self.exporter.wait()

    def until(self, pattern):
        """Waits until a line of the metrics looks so."""
        for _ in range(200):
            if re.search(pattern, self.exporter.scrape()[0], re.M):
                return
            time.sleep(0.1)
        sys.exit(f"{self.exporter.name} does not see the fault: {pattern}")

    def cost(self, scrapes):
        """Milliseconds of CPU a scrape: the median of some rounds."""
        rounds = []
        for _ in range(ROUNDS + 1):
            began = self.exporter.cpu()
            for _ in range(scrapes // ROUNDS):
                self.exporter.scrape(pause=NEXT_LOOK)
            rounds.append((self.exporter.cpu() - began) / (scrapes // ROUNDS))
        return statistics.median(rounds[1:])


def connect(count):
    """Both ends of `count` connections, in processes that hold as many of them as they have descriptors and ports for."""
    pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("1024 65000")
    holders = 0
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    while count > 0:
        share = min(count, (limit - 100) // 2, 25_000)
        ready, told = os.pipe()
        if os.fork() == 0:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            server = socket.create_server(("127.0.0.1", 30_000 + holders), backlog=4096)
            ends = []
            for _ in range(share):
                client = socket.socket()
                client.bind((f"127.0.1.{holders + 1}", 0))
                client.connect(server.getsockname())
                ends += [client, server.accept()[0]]
            os.write(told, b"x")
            time.sleep(100_000)
        os.close(told)
        if os.read(ready, 1) != b"x":
            sys.exit("a process could not open its connections")
        holders += 1
        count -= share


def established():
    lines = pathlib.Path("/proc/net/sockstat").read_text().splitlines()
    return next(int(line.split()[2]) for line in lines if line.startswith("TCP:"))


def main():
    parser = options(__doc__)
    parser.add_argument("--scrapes", type=int, default=300, help="scrapes of each measurement")
    parser.add_argument("--connections", type=int, default=200_000)
    arguments = parser.parse_args()
    in_namespaces(network=True)
    with tempfile.TemporaryDirectory(prefix="campaign-bench-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        run(folder, arguments)


def run(folder, arguments):
    home = folder / "nl6"
    home.mkdir()
    os.chown(home, CAMPAIGN, CAMPAIGN)
    simulator = folder / "simulator"
    shutil.copy(arguments.simulator, simulator)

    def campaign(*command):
        user = ["setpriv", f"--reuid={CAMPAIGN}", f"--regid={CAMPAIGN}", "--clear-groups"]
        subprocess.run([*user, *command], check=True, stdout=subprocess.DEVNULL, cwd="/")

    campaign(simulator, "create", home)
    nlserver = home / "bin/nlserver"
    campaign(nlserver, "watchdog", "-svc", "-noconsole")
    builds = {"campaign_exporter": arguments.exporter} | ({"before": arguments.before} if arguments.before else {})
    ours = [Ours(name, program, home, folder) for name, program in builds.items()]

    def costs(pattern, of=ours):
        for one in of:
            one.until(pattern)
        return [one.cost(arguments.scrapes) for one in of]

    of_port = r'\{.*module="web".*port="8080".*\} '
    bound, owned = r"^campaign_port_bound" + of_port, r"^campaign_port_owned" + of_port
    print(f"ms CPU a scrape: {', '.join(builds)}")

    def healthy():
        return costs(owned + "1$")

    def show(what, before, found, target):
        """Against the healthy host just before, so that other programs on this machine matter less."""
        verdict(f"{what}: {', '.join(f'{cost:.2f}' for cost in found)}; against healthy", found[0] / before[0], target)

    before = healthy()
    print(f"  healthy: {', '.join(f'{cost:.2f}' for cost in before)}")
    campaign(nlserver, "sim", "close-port", "web")
    show("a port that is not served", before, costs(bound + "0$"), FAULT_TARGET)
    holders = [socket.create_server(("127.0.0.1", port)) for port in WEB_PORTS]
    show("a port that another program holds", before, costs(owned + "0$"), FAULT_TARGET)
    for holder in holders:
        holder.close()
    campaign(nlserver, "sim", "open-port", "web")
    before = healthy()
    (home / "var/prod/log").chmod(0)
    unreadable = costs(r"^campaign_log_files_not_followed\{.*\} [1-9]")
    show("a folder of logs that may not be read", before, unreadable, FAULT_TARGET)
    (home / "var/prod/log").chmod(0o755)
    before = healthy()
    connect(arguments.connections)
    healthy()  # Not judged: the kernel still works on the new connections.
    show(f"beside {established():,} TCP sockets", before, healthy(), CONNECTIONS_TARGET)
    subprocess.run(["mount", "-o", "remount,hidepid=2", "/proc"], check=True)
    strangers = [Ours(name, program, home, folder, STRANGER) for name, program in builds.items()]
    show("hidden processes", before, costs(r"^campaign_processes_hidden 1$", strangers), FAULT_TARGET)
    for one in [*ours, *strangers]:
        one.exporter.stop()
    campaign(nlserver, "shutdown")


if __name__ == "__main__":
    main()
