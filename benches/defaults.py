#!/usr/bin/env python3
"""The Campaign exporter as people run it, with every collector, against what they would run instead on the same host.

Instead of it: Debian's prometheus-process-exporter, mtail with equal programs and prometheus-blackbox-exporter. Three hosts
are idle, and the exporter has no configuration; on the probed one it has end points to probe and indicators to read, too; on
the busy one 20 instances write logs and tracking logs each second, and have mails in the spool, end points and indicators.
All are scraped as Prometheus does. The bench ends with 1 when they did not see the same processes and lines. With `--before`
another build of ours runs beside, and is no part of the verdicts.

    benches/defaults.py [--exporter PATH] [--simulator PATH] [--before PATH] [--cycles N] [--interval SECONDS] [--only NAMES]
"""

import pathlib
import re
import tempfile
import time

from kit import GROUPS, HERE, Exporter, Life, SimulatedHost, free_port, in_namespaces, options, our_groups, their_groups, verdict

# name: nlserver processes, others, threads and mappings of each; what happens; the CPU target against process-exporter
# alone, or against all three on the busy host; the target of the memory against the same
HOSTS = {
    "idle": ((110, 200, 1, 0), "default", 1 / 10, 1 / 2),
    "large": ((1100, 1000, 1, 0), "default", 1 / 15, 1 / 2),
    "threads": ((110, 0, 20, 300), "default", 1 / 50, 1 / 2),
    "probed": ((110, 200, 1, 0), "probed", None, 1 / 2),
    "busy": ((1100, 1000, 1, 0), "busy", 1 / 10, 1 / 3),
}
BLACKBOX = "modules:\n  http_2xx:\n    prober: http\n    http: {preferred_ip_protocol: ip4}\n"

# A metric of each collector: what is not there costs nothing.
EVIDENCE = ["campaign_module_up", "campaign_log_messages_total", "campaign_tracking_log_lines_total",
            "campaign_mta_spool_files", "campaign_core_files", "campaign_port_bound"]
PROBED = ["campaign_probe_success", "campaign_pipelined_current_messages", "campaign_indicator_value"]


def counted(text, *names):
    """The sum of all series of these metrics."""
    lines = (line for line in text.splitlines() if re.split("[{ ]", line)[0] in names)
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines)


class Host:
    """A simulated host, ours, and the others on it."""

    def __init__(self, name, folder, arguments):
        (processes, others, threads, mappings), life, *_ = HOSTS[name]
        self.is_busy, self.is_probed = life == "busy", life != "default"
        home = folder / "nl6"
        self.simulated = SimulatedHost(arguments.simulator, home, processes, others, threads, mappings)
        self.life = Life(home, folder, self.is_busy)
        self.flags = self.life.flags if self.is_probed else []
        (folder / "groups.yml").write_text(GROUPS)
        (folder / "blackbox.yml").write_text(BLACKBOX)
        logs = [f"{home}/var/*/log/*.log", f"{home}/var/*/redir/log/*.log"]

        def ours(name, program, state):
            port = free_port()
            flags = [f"--campaign.home={home}", f"--storage.path={folder / state}", f"--web.listen-address=127.0.0.1:{port}"]
            return Exporter(name, [program, *flags, *self.flags], port, our_groups)

        def peer(name, groups, command):
            port = free_port()
            command = [str(part).replace("PORT", str(port)) for part in command]
            return Exporter(name, command, port, groups)

        self.ours = ours("campaign_exporter", arguments.exporter, "state")
        self.peers = [peer("process-exporter", their_groups, [
            "prometheus-process-exporter", "-config.path", folder / "groups.yml", "-web.listen-address", "127.0.0.1:PORT"])]
        if self.is_busy:
            self.peers.append(peer("mtail", None, [
                "mtail", "--address", "127.0.0.1", "--port", "PORT", "--progs", HERE / "programs", "--log_dir", folder,
                *(argument for path in logs for argument in ("--logs", path))]))
            self.peers.append(peer("blackbox_exporter", None, [
                "prometheus-blackbox-exporter", f"--config.file={folder / 'blackbox.yml'}",
                "--web.listen-address=127.0.0.1:PORT"]))
        self.before = [ours("before", arguments.before, "state-before")] if arguments.before else []
        for exporter in self.all():
            exporter.wait()

    def all(self):
        return [self.ours, *self.peers, *self.before]

    def scrape(self):
        """One scrape of each; the texts of ours, process-exporter and mtail."""
        texts = {exporter.name: exporter.scrape()[0] for exporter in self.all() if exporter.name != "blackbox_exporter"}
        for url in self.life.probed if self.is_busy else []:
            answer = self.peers[2].scrape(f"/probe?module=http_2xx&target={url}")[0]
            if counted(answer, "probe_success") != 1:
                raise SystemExit(f"blackbox_exporter does not reach {url}")
        return texts

    def seen(self):
        """Processes, and lines where another exporter counts them, as ours and the others see them."""
        texts = self.scrape()
        ours, lines = texts[self.ours.name], texts.get("mtail", "")
        wanted = EVIDENCE + PROBED if self.is_probed else EVIDENCE
        missing = [name for name in wanted if not re.search(rf"^{name}[{{ ]", ours, re.M)]
        if missing:
            raise SystemExit(f"ours has no {', '.join(missing)}")
        our_lines = counted(ours, "campaign_log_messages_total", "campaign_tracking_log_lines_total")
        return (
            (sum(our_groups(ours).values()), our_lines if self.is_busy else 0),
            (sum(their_groups(texts["process-exporter"]).values()), counted(lines, "messages_total", "tracking_lines_total")),
        )

    def stop(self):
        for exporter in self.all():
            exporter.stop()
        self.life.stop()
        self.simulated.stop()


def measure(name, folder, arguments):
    host = Host(name, folder, arguments)
    try:
        # New processes and files are looked at more often for a while.
        for _ in range(4):
            time.sleep(10)
            host.scrape()
        before = host.life.pause(host.seen)
        begin, start = time.monotonic(), [(exporter.cpu(), *exporter.usage()) for exporter in host.all()]
        for cycle in range(1, arguments.cycles + 1):
            time.sleep(max(0, begin + cycle * arguments.interval - time.monotonic()))
            host.scrape()
        seconds = time.monotonic() - begin
        end = [(exporter.cpu(), *exporter.usage()) for exporter in host.all()]
        compare(host, before, host.life.pause(host.seen))
        report(name, host, seconds, start, end, arguments.interval)
    finally:
        host.stop()


def compare(host, before, after):
    """All must have seen the same, or the comparison says nothing."""
    ours, theirs = ([seen[which] for seen, _ in (before, after)] for which in (0, 1))
    wrote, processes = after[1] - before[1], host.simulated.processes
    for what, (first, last) in (("ours", ours), ("theirs", theirs)):
        if last[0] != processes or last[1] - first[1] != wrote:
            raise SystemExit(f"{what}: {last[0]:.0f} of {processes} processes, {last[1] - first[1]} of {wrote} lines")


def report(name, host, seconds, start, end, interval):
    print(f"host: {name} ({host.simulated.processes} nlserver processes), {seconds:.0f} s")
    print(f"  {'':20}{'CPU ms/' + format(interval, 'g') + ' s':>14}{'wake-ups/s':>12}{'written kB/s':>14}"
          f"{'peak MB':>10}{'private MB':>12}")
    rows = {}

    def row(name, cells):
        rows[name] = cells
        print(f"  {name:20}{cells[0]:14.2f}{cells[1]:12.1f}{cells[2]:14.1f}{cells[3]:10.1f}{cells[4]:12.1f}")

    for exporter, first, last in zip(host.all(), start, end):
        cpu, wakeups, written = ((last[at] - first[at]) / seconds for at in range(3))
        row(exporter.name, (cpu * interval, wakeups, written / 1000, last[3], last[4]))
    others = [rows[peer.name] for peer in host.peers]
    peers = "process-exporter"
    if host.is_busy:
        peers = "the three together"
        row(peers, [sum(column) for column in zip(*others)])
    _, _, cpu_target, memory_target = HOSTS[name]
    ours, theirs = rows[host.ours.name], rows[peers]
    verdict(f"CPU against {peers}", ours[0] / theirs[0], cpu_target)
    verdict(f"peak memory against {peers}", ours[3] / theirs[3], memory_target)
    if host.before:
        verdict("CPU against the build of before", ours[0] / rows["before"][0])
        verdict("peak memory against the build of before", ours[3] / rows["before"][3])


def main():
    parser = options(__doc__)
    parser.add_argument("--cycles", type=int, default=4, help="scrapes to measure")
    parser.add_argument("--interval", type=float, default=15, help="seconds from one scrape to the next")
    parser.add_argument("--only", default=",".join(HOSTS), help="hosts, separated by commas")
    arguments = parser.parse_args()
    in_namespaces()
    for name in arguments.only.split(","):
        with tempfile.TemporaryDirectory(prefix="campaign-bench-") as folder:
            measure(name, pathlib.Path(folder), arguments)


if __name__ == "__main__":
    main()
