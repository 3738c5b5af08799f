#!/usr/bin/env python3
"""A scrape a second beside hostile clients: the Campaign exporter, then prometheus-node-exporter, in one run.

In a network namespace of its own: 10,000 connections that send nothing, 1,000 that send half a request, and 200 that read
their answer at one byte a second. One that is cut off comes again at once. A scraper opens a connection each second, as
curl does; another keeps its own, as Prometheus does. Prints the slowest scrapes, the failed ones, and the memory's peak.
It is a measurement, not a test: it exits 0 whatever comes out. Needs root.

    benches/hostile_clients.py [--exporter PATH] [--seconds N] [--silent N] [--half N] [--slow N]
"""

import argparse
import http.client
import os
import pathlib
import resource
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time

PORT = 22791
TIMEOUT = 10
HALF = b"GET /metrics HTTP/1.1\r\nHost: campaign\r\nX-Half: "
WHOLE = b"GET /metrics HTTP/1.1\r\nHost: campaign\r\n\r\n"


def in_namespace():
    """Starts this program again where no other program listens."""
    if os.environ.get("CAMPAIGN_BENCH") != "1":
        os.environ["CAMPAIGN_BENCH"] = "1"
        command = ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, *sys.argv]
        os.execvp("unshare", command)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


class Crowd:
    """Clients of three kinds, in a process of their own, that come again when they are cut off."""

    def __init__(self, counts):
        self.ready, told = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self.run(counts, told)

    def run(self, counts, told):
        selector = selectors.DefaultSelector()
        kinds = [kind for kind, count in counts.items() for _ in range(count)]
        slow = set()

        def connect(kind):
            client = socket.socket()
            if kind == "slow":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", PORT))
            selector.register(client, selectors.EVENT_WRITE, kind)

        def again(client, kind):
            selector.unregister(client)
            slow.discard(client)
            client.close()
            connect(kind)

        for kind in kinds:
            connect(kind)
        opened, next_byte = 0, time.monotonic() + 1
        while True:
            for key, events in selector.select(0.1):
                client, kind = key.fileobj, key.data
                try:
                    if events & selectors.EVENT_WRITE:
                        client.send({"silent": b"", "half": HALF, "slow": WHOLE}[kind])
                        opened += 1
                        if opened == len(kinds):
                            os.write(told, b"x")
                        if kind == "slow":
                            slow.add(client)
                        # A slow reader is not woken for each byte; a reset shows when it reads.
                        selector.modify(client, 0 if kind == "slow" else selectors.EVENT_READ, kind)
                    elif not client.recv(4096):
                        again(client, kind)
                except ValueError:
                    selector.unregister(client)
                except OSError:
                    again(client, kind)
            if time.monotonic() >= next_byte:
                next_byte += 1
                for client in list(slow):
                    try:
                        if not client.recv(1):
                            again(client, "slow")
                    except BlockingIOError:
                        pass
                    except OSError:
                        again(client, "slow")

    def await_open(self, seconds):
        """Waits until all have been connected once, or the time is over."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.ready, selectors.EVENT_READ)
            return bool(selector.select(seconds))


class Scraper(threading.Thread):
    """Scrapes each second until told to stop."""

    def __init__(self, keeps, seconds):
        super().__init__()
        self.keeps, self.seconds, self.times, self.failed = keeps, seconds, [], []
        self.start()

    def run(self):
        connection = None
        end = time.monotonic() + self.seconds
        while (began := time.monotonic()) < end:
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", PORT, timeout=TIMEOUT)
                connection.request("GET", "/metrics", headers={"X-Prometheus-Scrape-Timeout-Seconds": str(TIMEOUT)})
                answer = connection.getresponse()
                if answer.status != 200 or not answer.read():
                    self.failed.append(f"status {answer.status}")
                self.times.append(time.monotonic() - began)
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(type(error).__name__)
                connection.close()
                connection = None
            if connection and not self.keeps:
                connection.close()
                connection = None
            time.sleep(max(0, began + 1 - time.monotonic()))


def measure(name, command, options):
    exporter = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            socket.create_connection(("127.0.0.1", PORT)).close()
            break
        except OSError:
            time.sleep(0.1)
    scrapers = [Scraper(keeps, options.seconds) for keeps in (False, True)]
    time.sleep(3)
    crowd = Crowd({"silent": options.silent, "half": options.half, "slow": options.slow})
    all_came = crowd.await_open(options.seconds)
    for scraper in scrapers:
        scraper.join()
    status = pathlib.Path(f"/proc/{exporter.pid}/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1000
    held = len(os.listdir(f"/proc/{exporter.pid}/fd"))
    for scraper, kind in zip(scrapers, ("new connection", "kept connection")):
        times = sorted(scraper.times) or [float("nan")]
        middle = times[len(times) // 2]
        failed = f"{len(scraper.failed)} failed ({', '.join(sorted(set(scraper.failed)))})" if scraper.failed else "0 failed"
        print(f"{name:10}{kind:17}{len(times):4} scrapes, {failed}; median {middle:.3f} s, slowest {times[-1]:.3f} s")
    print(f"{name:10}memory peak {peak:.1f} MB, {held} descriptors held, all clients came: {'yes' if all_came else 'no'}", flush=True)
    os.kill(crowd.pid, 9)
    os.waitpid(crowd.pid, 0)
    exporter.kill()
    exporter.wait()


def main():
    parser = argparse.ArgumentParser()
    root = pathlib.Path(__file__).resolve().parent.parent
    parser.add_argument("--exporter", type=pathlib.Path, default=root / "target/release/campaign_exporter")
    parser.add_argument("--seconds", type=int, default=45)
    parser.add_argument("--silent", type=int, default=10_000)
    parser.add_argument("--half", type=int, default=1_000)
    parser.add_argument("--slow", type=int, default=200)
    options = parser.parse_args()
    in_namespace()
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder) / "nl6"
        (home / "conf").mkdir(parents=True)
        (home / "conf/serverConf.xml").write_text("<serverconf/>")
        (home / "conf/config-default.xml").write_text("<serverconf><web autoStart='true'/></serverconf>")
        ours = [options.exporter, f"--campaign.home={home}", f"--web.listen-address=127.0.0.1:{PORT}",
                f"--storage.path={folder}/state"]
        theirs = ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{PORT}"]
        measure("campaign", ours, options)
        measure("node", theirs, options)


if __name__ == "__main__":
    main()
