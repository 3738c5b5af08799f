#!/usr/bin/env python3
"""What a scrape of the Campaign exporter costs beside many established TCP connections, and beside faults of ports.

In a network namespace of its own: opens connections over the loopback interface and compares the CPU of the exporter's process for
each scrape (the kernel's process clock, in nanoseconds) with that of the same host without them. Then the same for a port
that is not served and for one that another program holds. A measurement, not a test: it exits 0 whatever comes out. Needs root.

    benches/connections.py [--exporter PATH] [--connections N] [--scrapes N]
"""

import argparse
import os
import pathlib
import resource
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

PORT = 22790
CONF = "<serverconf><web autoStart='true'/><syslogd autoStart='true'/></serverconf>"


def in_namespace():
    """Starts this program again where nobody else listens."""
    if os.environ.get("CAMPAIGN_BENCH") != "1":
        os.environ["CAMPAIGN_BENCH"] = "1"
        command = ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, *sys.argv]
        os.execvp("unshare", command)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def cpu(pid):
    """Seconds of CPU that a process has used: its own clock, as clock_getcpuclockid(3) names it."""
    return time.clock_gettime((~pid << 3) | 2)


def scrape():
    request = f"http://127.0.0.1:{PORT}/metrics"
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


def measure(pid, scrapes):
    """Milliseconds of CPU a scrape, and of the collector of ports alone by its own clock."""
    for _ in range(20):
        scrape()
    began, ports = cpu(pid), 0.0
    for _ in range(scrapes):
        text = scrape()
        line = next(one for one in text.splitlines() if one.startswith('campaign_scrape_collector_duration_seconds{collector="ports"'))
        ports += float(line.rpartition(" ")[2])
    return (cpu(pid) - began) / scrapes * 1e3, ports / scrapes * 1e3


def listening(tcp, udp):
    sockets = []
    for kind, ports in ((socket.SOCK_STREAM, tcp), (socket.SOCK_DGRAM, udp)):
        for port in ports:
            one = socket.socket(socket.AF_INET, kind)
            one.bind(("127.0.0.1", port))
            if kind == socket.SOCK_STREAM:
                one.listen()
            sockets.append(one)
    return sockets


def connect(count):
    """Both ends of `count` connections, in processes that hold as many of them as they have descriptors and ports for."""
    holders = []
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    while count > 0:
        share = min(count, (limit - 100) // 2, 25_000)
        ready, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            server = socket.create_server(("127.0.0.1", 30_000 + len(holders)), backlog=4096)
            ends = []
            for _ in range(share):
                client = socket.socket()
                client.bind((f"127.0.1.{len(holders) + 1}", 0))
                client.connect(server.getsockname())
                ends += [client, server.accept()[0]]
            os.write(told, b"x")
            time.sleep(100_000)
        os.close(told)
        if os.read(ready, 1) != b"x":
            sys.exit("a process could not open its connections")
        holders.append(pid)
        count -= share
    return holders


def main():
    parser = argparse.ArgumentParser()
    root = pathlib.Path(__file__).resolve().parent.parent
    parser.add_argument("--exporter", type=pathlib.Path, default=root / "target/release/campaign_exporter")
    parser.add_argument("--connections", type=int, default=200_000)
    parser.add_argument("--scrapes", type=int, default=300)
    options = parser.parse_args()
    in_namespace()
    pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("1024 65000")
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder) / "nl6"
        (home / "conf").mkdir(parents=True)
        (home / "conf/serverConf.xml").write_text("<serverconf/>")
        (home / "conf/config-default.xml").write_text(CONF)
        exporter = subprocess.Popen(
            [options.exporter, f"--campaign.home={home}", f"--web.listen-address=127.0.0.1:{PORT}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                scrape()
                break
            except OSError:
                time.sleep(0.1)
        sockets = listening([8080, 8005], [6666])
        alone = measure(exporter.pid, options.scrapes)
        for one in sockets:
            one.close()
        unserved = measure(exporter.pid, options.scrapes)
        connect(options.connections)
        unserved_among = measure(exporter.pid, options.scrapes)
        sockets = listening([8080, 8005], [6666])
        among = measure(exporter.pid, options.scrapes)
        established = sum(int(line.split()[2]) for line in pathlib.Path("/proc/net/sockstat").read_text().splitlines() if line.startswith("TCP:"))
        print(f"{established:,} TCP sockets in use")
        print(f"{'':34}{'ms CPU a scrape':>16}{'ms in ports':>12}")
        for name, result in (
            ("ports served by another program", alone),
            ("the same among the connections", among),
            ("ports not served", unserved),
            ("the same among the connections", unserved_among),
        ):
            print(f"{name:34}{result[0]:16.3f}{result[1]:12.3f}")
        exporter.terminate()
        exporter.wait()


if __name__ == "__main__":
    main()
