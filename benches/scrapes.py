#!/usr/bin/env python3
"""How many scrapes a second are answered, and whether anything grows over many of them.

`rate`: wrk against Debian's prometheus-node-exporter without collectors, on a host with one module and on one with 110
processes. `flat`: a scrape a second for some minutes; memory, descriptors and threads must level off. With `--before` another
build of ours is measured too, and is no part of the verdicts.

    benches/scrapes.py [--exporter PATH] [--simulator PATH] [--before PATH] [--minutes N] [--only rate,flat]
"""

import os
import pathlib
import re
import subprocess
import tempfile
import time

from kit import Exporter, Life, SimulatedHost, free_port, in_namespaces, options, verdict

SCRAPES_TARGET = 4
P99_TARGET = 2.0
# Of the private memory at the end, against that after the first fifth of the time.
GROWTH_TARGET = 1.05


def wrk(port):
    """Scrapes a second, and the 99th percentile in ms."""
    command = ["wrk", "--threads", "1", "--connections", "4", "--duration", "5s", "--latency",
               f"http://127.0.0.1:{port}/metrics"]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout
    if "Non-2xx" in text:
        raise SystemExit(f"scrapes failed: {text}")
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def ours(name, program, home, folder, flags=()):
    port = free_port()
    exporter = Exporter(name, [program, f"--campaign.home={home}", f"--storage.path={folder / f'state-{name}-{port}'}",
                        f"--web.listen-address=127.0.0.1:{port}", *flags], port, None)
    exporter.wait()
    return exporter


def builds(arguments):
    return {"campaign_exporter": arguments.exporter} | ({"before": arguments.before} if arguments.before else {})


def rate(folder, arguments):
    port = free_port()
    node = Exporter("node_exporter", ["prometheus-node-exporter", "--collector.disable-defaults",
                    f"--web.listen-address=127.0.0.1:{port}"], port, None)
    node.wait()
    try:
        for processes in (1, 110):
            host = SimulatedHost(arguments.simulator, folder / f"nl6-{processes}", processes)
            print(f"host: {processes} nlserver processes")
            for name, program in builds(arguments).items():
                exporter = ours(name, program, host.home, folder)
                lines = len(re.findall(r"^[a-z]", exporter.scrape()[0], re.M))
                theirs, found = wrk(node.port), wrk(exporter.port)
                exporter.stop()
                print(f"  {name}: {found[0]:.0f} scrapes a second of {lines} lines, node_exporter: {theirs[0]:.0f}, p99 {theirs[1]:.2f} ms")
                is_judged = processes == 1 and name != "before"
                verdict(f"{name}: scrapes a second against node_exporter's", found[0] / theirs[0],
                        SCRAPES_TARGET if is_judged else None, at_least=True)
                verdict(f"{name}: p99 in ms", found[1], P99_TARGET if is_judged else None)
            host.stop()
    finally:
        node.stop()


def flat(folder, arguments):
    host = SimulatedHost(arguments.simulator, folder / "nl6", 110, 200)
    life = Life(host.home, folder)
    exporter = ours("campaign_exporter", arguments.exporter, host.home, folder, life.flags)
    process = pathlib.Path(f"/proc/{exporter.process.pid}")
    seen = []
    try:
        print(f"a scrape a second for {arguments.minutes:g} minutes, everything happens")
        begin = time.monotonic()
        for scrape in range(int(arguments.minutes * 60) + 1):
            time.sleep(max(0, begin + scrape - time.monotonic()))
            exporter.scrape(pause=0)
            if scrape % max(1, int(arguments.minutes * 6)) == 0:
                descriptors, threads = len(os.listdir(process / "fd")), len(os.listdir(process / "task"))
                seen.append((exporter.usage()[3], descriptors, threads))
                print(f"  {scrape / 60:5.1f} min: {seen[-1][0]:.2f} MB private, {descriptors} descriptors, {threads} threads", flush=True)
    finally:
        exporter.stop()
        life.stop()
        host.stop()
    for what, first, last in zip(("private memory", "descriptors", "threads"), seen[2], seen[-1]):
        verdict(f"{what} at the end against a fifth of the time", last / first, GROWTH_TARGET)


def main():
    parser = options(__doc__)
    parser.add_argument("--only", default="rate,flat")
    parser.add_argument("--minutes", type=float, default=3, help="how long `flat` scrapes")
    arguments = parser.parse_args()
    in_namespaces()
    for name in arguments.only.split(","):
        with tempfile.TemporaryDirectory(prefix="campaign-bench-") as folder:
            {"rate": rate, "flat": flat}[name](pathlib.Path(folder), arguments)


if __name__ == "__main__":
    main()
