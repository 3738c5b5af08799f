#!/usr/bin/env python3
"""What an evaluation of the alert rules costs Prometheus, in milliseconds a host, by group.

One scrape of a simulated host is played as that of many hosts: hours of it are written to a real Prometheus, then it evaluates
the rules while samples go on coming. It prints the medians of `evaluationTime`, as its API gives them for each rule.

    benches/rules.py [--exporter PATH] [--simulator PATH] [--hosts 1,20,100] [--processes 110] [--evaluations 12] [--rules FILE]
"""

import collections
import json
import pathlib
import re
import statistics
import struct
import subprocess
import tempfile
import time
import urllib.request

from kit import HERE, Exporter, Life, SimulatedHost, free_port, in_namespaces, options, verdict

LOGS_TARGET = 2.0
# Seconds: of what was before, between two samples, and between two evaluations.
HISTORY, STEP, INTERVAL = 9000, 30, 5
# What a healthy host goes on counting, a sample.
GROWING = {"campaign_log_messages_total": 5, "campaign_log_read_bytes_total": 600}
# What is as old as the sample.
CLOCKS = {"campaign_host_time_seconds", "campaign_log_last_message_timestamp_seconds"}


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


class Played:
    """Series of one host, written as those of many, by the protocol of remote write."""

    def __init__(self, text, hosts):
        found = re.findall(r"^(\w+)(?:\{(.*)\})? (\S+)$", text, re.M)
        self.series = [(name, re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels), float(value))
                       for name, labels, value in found if name != "up"] + [("up", [], 1.0)]
        self.hosts = [f"host{number}:9117" for number in range(hosts)]

    def samples(self, name, labels, value, times):
        grows = GROWING.get(name, 0) if dict(labels).get("level", "info") == "info" else 0
        parts = []
        for at in times:
            told = at / 1000 if name in CLOCKS else value + grows * (at // 1000 // STEP)
            parts.append(field(2, b"\x09" + struct.pack("<d", told) + b"\x10" + varint(at)))
        return b"".join(parts)

    def write(self, url, times):
        body = []
        for name, labels, value in self.series:
            samples = self.samples(name, labels, value, times)
            for host in self.hosts:
                pairs = sorted([("__name__", name), ("job", "campaign"), ("instance", host), *labels])
                text = b"".join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in pairs)
                body.append(field(1, text + samples))
                if len(body) > 1_000_000 // len(samples):
                    self.send(url, b"".join(body))
                    body = []
        self.send(url, b"".join(body))

    @staticmethod
    def send(url, body):
        """Snappy's block of one literal: its format needs no compression."""
        if not body:
            return
        packed = varint(len(body)) + bytes([62 << 2]) + (len(body) - 1).to_bytes(3, "little") + body
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf",
                   "X-Prometheus-Remote-Write-Version": "0.1.0"}
        urllib.request.urlopen(urllib.request.Request(f"{url}/api/v1/write", packed, headers), timeout=60).read()


def one_scrape(folder, arguments):
    """What the exporter exports of a host with all there is."""
    host = SimulatedHost(arguments.simulator, folder / "nl6", arguments.processes)
    life = Life(host.home, folder, grows=False)
    port = free_port()
    exporter = Exporter("campaign_exporter", [arguments.exporter, f"--campaign.home={host.home}",
                        f"--storage.path={folder / 'state'}", f"--web.listen-address=127.0.0.1:{port}", *life.flags], port, None)
    try:
        exporter.wait()
        time.sleep(10)
        return exporter.scrape()[0]
    finally:
        exporter.stop()
        life.stop()
        host.stop()


def evaluated(folder, arguments, text, hosts):
    """By group the seconds of each of its evaluations, and by rule."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    # A group's own interval is printed, and not waited for.
    written = arguments.rules.read_text()
    own = dict(re.findall(r"^- name: (\w+)\n  interval: (\w+)$", written, re.M))
    rule_file = folder / "rules.yml"
    rule_file.write_text(re.sub(r"^  interval: \w+\n", "", written, flags=re.M))
    configuration = folder / f"prometheus-{hosts}.yml"
    configuration.write_text(f"global: {{evaluation_interval: {INTERVAL}s}}\nrule_files: ['{rule_file}']\n")
    prometheus = subprocess.Popen(
        ["prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={folder / f'data-{hosts}'}",
         f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver",
         # Half of it is how old a sample may be.
         "--storage.tsdb.min-block-duration=12h", "--storage.tsdb.max-block-duration=12h"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                urllib.request.urlopen(f"{url}/-/ready", timeout=5).read()
                break
            except OSError:
                time.sleep(0.2)
        played = Played(text, hosts)
        now = int(time.time()) // STEP * STEP
        played.write(url, [at * 1000 for at in range(now - HISTORY, now + 1, STEP)])
        groups, rules, seen = collections.defaultdict(list), collections.defaultdict(list), {}
        # The first evaluations read what is not cached yet.
        begin = time.time() + 2 * INTERVAL
        while len(groups["campaign_logs"]) < arguments.evaluations:
            if time.time() - now >= STEP:
                now += STEP
                played.write(url, [now * 1000])
            time.sleep(1)
            answer = json.load(urllib.request.urlopen(f"{url}/api/v1/rules", timeout=30))
            for group in answer["data"]["groups"]:
                if time.time() < begin or seen.get(group["name"]) == group["lastEvaluation"]:
                    continue
                seen[group["name"]] = group["lastEvaluation"]
                groups[group["name"]].append(group["evaluationTime"])
                for rule in group["rules"]:
                    rules[group["name"], rule["name"]].append(rule["evaluationTime"])
                    if rule["health"] == "err":
                        raise SystemExit(f"{rule['name']}: {rule['lastError']}")
        firing = {rule["name"] for group in answer["data"]["groups"] for rule in group["rules"] if rule.get("state") == "firing"}
        return groups, rules, own, len(played.series), firing
    finally:
        prometheus.terminate()
        prometheus.wait()


def main():
    parser = options(__doc__)
    parser.add_argument("--hosts", default="1,20,100")
    parser.add_argument("--processes", type=int, default=110)
    parser.add_argument("--evaluations", type=int, default=12)
    parser.add_argument("--rules", type=pathlib.Path, default=HERE.parent / "alerts/en/campaign.rules.yml")
    parser.add_argument("--dearest", type=int, default=3, help="so many rules of each group are named")
    parser.add_argument("--scrape", type=pathlib.Path, help="a recorded scrape, in place of a simulated host")
    arguments = parser.parse_args()
    in_namespaces()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        text = arguments.scrape.read_text() if arguments.scrape else one_scrape(folder, arguments)
        for hosts in map(int, arguments.hosts.split(",")):
            groups, rules, own, series, firing = evaluated(folder, arguments, text, hosts)
            print(f"hosts: {hosts}, series of each: {series}; firing: {', '.join(sorted(firing)) or 'nothing'}")
            told = {name: 1000 * statistics.median(times) / hosts for name, times in groups.items()}
            for group, cost in sorted(told.items(), key=lambda item: -item[1]):
                of_group = sorted(((statistics.median(times), rule) for (of, rule), times in rules.items() if of == group),
                                  reverse=True)[:arguments.dearest]
                dearest = ", ".join(f"{rule} {1000 * seconds / hosts:.3f}" for seconds, rule in of_group)
                every = f", once in {own[group]}" if group in own else ""
                print(f"  {group}: {cost:.3f} ms a host{every} ({dearest})")
            verdict(f"campaign_logs, {hosts} hosts, ms a host", told["campaign_logs"], LOGS_TARGET)


if __name__ == "__main__":
    main()
