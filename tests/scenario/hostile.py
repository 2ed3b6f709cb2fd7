#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Peers that stall, drip, never read, reset or send without end, while honest devices enrol and RADIUS servers ask."""
import asyncio
import collections
import multiprocessing
import os
import pathlib
import random
import re
import socket
import ssl
import struct
import subprocess
import time

from harness import Instance, check, equal, main, wait_for
from sandbox import SANITIZED

LONG = os.environ.get("CADUCEUS_TEST_LONG") == "1"
COUNT = 2000 if LONG else 240
SECONDS = 30 if LONG else 6


class Hostile:
    """COUNT connections from many loopback addresses, in a process of their own that gets the time which nobody else wants:
    what is measured is what they cost the service, not what their making costs this machine."""

    def __init__(self, i):
        self.i, self.refused = i, 0
        self.context = ssl.create_default_context(cafile=str(i.root))
        self.count = multiprocessing.Value("i", 0)
        self.ended = multiprocessing.Value("i", 0)
        self.process = multiprocessing.get_context("fork").Process(target=self.work)

    def work(self):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        asyncio.run(self.run())

    @property
    def stop(self):
        return self.ended.value != 0

    @property
    def made(self):
        return self.count.value

    def __enter__(self):
        self.process.start()
        time.sleep(2)
        return self

    def __exit__(self, *exc):
        self.ended.value = 1
        self.process.join(20)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()

    async def open(self, n, tls):
        source = f"127.0.{1 + n // 200}.{1 + n % 200}"
        port = self.i.enroll_port if n % 3 else self.i.va_port
        return await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0),
                                             ssl=self.context if tls and n % 3 else None,
                                             server_hostname="localhost" if tls and n % 3 else None)

    async def one(self, n):
        kind = n % 6
        while not self.stop:
            writer = None
            try:
                reader, writer = await self.open(n, tls=kind in (2, 3, 4))
                self.count.value += 1
                if kind == 0:  # silent
                    await asyncio.sleep(5)
                elif kind == 1:  # half a ClientHello, or half a request, octet by octet
                    for octet in b"\x16\x03\x01\x02\x00\x01\x00" if n % 3 else b"GET /ocsp":
                        writer.write(bytes([octet]))
                        await asyncio.sleep(0.7)
                elif kind == 2:  # drips a header for ever
                    writer.write(b"POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\n")
                    for k in range(20):
                        writer.write(b"X-%d: y\r\n" % k)
                        await asyncio.sleep(0.3)
                elif kind == 3:  # asks and never reads
                    for _ in range(50):
                        writer.write(b"GET /.well-known/est/cacerts HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    await asyncio.sleep(3)
                elif kind == 4:  # 100 MB
                    writer.write(b"POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                                 b"Content-Type: application/pkcs10\r\n\r\n")
                    for _ in range(40):
                        writer.write(b"4000\r\n" + b"A" * 0x4000 + b"\r\n")
                        await writer.drain()
                        await asyncio.sleep(0.05)
                else:  # resets
                    writer.write(os.urandom(200))
                    await asyncio.sleep(random.random())
                    writer.transport.abort()
            except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
                self.refused += 1
                await asyncio.sleep(0.5)
            finally:
                if writer is not None:
                    writer.transport.abort()
            await asyncio.sleep(0.2)

    async def run(self):
        tasks = [asyncio.create_task(self.one(n)) for n in range(COUNT)]
        while not self.stop:
            await asyncio.sleep(0.2)
        for t in tasks:
            t.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def latencies(i, seconds):
    """Of an honest client that asks for the anchors by a new TLS connection, and the health of va; all must be answered."""
    got, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        equal(i.http(i.est + "/cacerts").status, 200)
        equal(i.http(i.va + "/healthz").status, 200)
        got.append(time.monotonic() - began)
    return sorted(got)


def p99(values):
    return values[min(len(values) - 1, int(len(values) * 0.99))]


def pss(i):
    """kB of all roles together."""
    total = 0
    for pid in i.roles().values():
        total += int(re.search(r"Pss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()).group(1))
    return total


def test_honest_clients_among_hostile_ones__EST_40__OPS_17():
    i = Instance("hostile", settings=["limits.connections=3000", "limits.request_seconds=8"])
    idle = latencies(i, 3)
    before = pss(i)
    with Hostile(i) as h:
        among = latencies(i, SECONDS)
        i.enroll("among-1")
        grown = pss(i) - before
        check(h.made > COUNT / 2, "connections made", h.made)
    print(f"  {h.made} hostile connections; honest p99 {p99(idle) * 1000:.0f} ms idle, {p99(among) * 1000:.0f} ms among them; "
          f"{grown / 1024:.0f} MiB more")
    # A fixed share beside the factor: what the machine's other work costs a single request now and then.
    check(SANITIZED or p99(among) < 2 * p99(idle) + 0.1, "p99", p99(idle), p99(among))
    # A sanitizer keeps what was freed.
    check(SANITIZED or grown < COUNT * 160 + 40000, "kB more", grown)
    time.sleep(1)
    i.enroll("after-1")
    equal(len(i.roles()), 6)
    check("role killed" not in i.log_text(), i.log_text()[-2000:])


def test_a_full_listener_sheds_the_silent_first__OPS_17():
    i = Instance("crowded", settings=["limits.connections=60", "limits.per_address=60"])
    silent = []
    for n in range(60):
        s = socket.socket()
        s.bind((f"127.0.5.{n + 1}", 0))
        s.connect(("127.0.0.1", i.enroll_port))
        silent.append(s)
    # 30 seconds would be the ordinary deadline of each.
    began = time.monotonic()
    while time.monotonic() - began < 12:
        if subprocess.run(["curl", "-s", "-o", "/dev/null", "--max-time", "3", "--cacert", str(i.root), i.est + "/cacerts"]).returncode == 0:
            break
        time.sleep(0.3)
    check(time.monotonic() - began < 10, "shut out by silent peers for", time.monotonic() - began)
    i.enroll("crowd-1")
    for s in silent:
        s.close()


def client_hello():
    context = ssl.create_default_context()
    out = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        return out.read()


def abort_handshakes(port, count):
    """Half of them by a reset; some before the first octet, some amid the hello, some after it, some when the answer came."""
    hello = client_hello()
    sent = [b"", hello[:len(hello) // 2], hello[:5], hello, hello]
    waiting = collections.deque()
    for n in range(count):
        s = socket.socket()
        s.setsockopt(socket.SOL_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        s.bind((f"127.0.{10 + n // 250 % 200}.{1 + n % 250}", 0))
        s.connect(("127.0.0.1", port))
        s.sendall(sent[n % 5])
        if n % 2:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        waiting.append((n, s))
        if len(waiting) == 200:
            n, s = waiting.popleft()
            if n % 5 == 4:
                s.settimeout(20)
                check(s.recv(16384), "no answer to a hello")
            s.close()
    for _, s in waiting:
        s.close()


def test_aborted_handshakes_leave_nothing__OPS_17():
    """A million with --long: no descriptor stays, no memory, no time."""
    count = 1000000 if LONG else 20000
    i = Instance("aborted", settings=["limits.connections=3000"])
    front = pathlib.Path(f"/proc/{i.roles()['front']}")

    def spent():
        fields = (front / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    abort_handshakes(i.enroll_port, 2000)
    time.sleep(1)
    i.enroll("before-aborts")
    time.sleep(1)
    before, memory = len(list((front / "fd").iterdir())), pss(i)
    began = time.monotonic()
    abort_handshakes(i.enroll_port, count)
    print(f"  {count} in {time.monotonic() - began:.0f} s")
    wait_for("their descriptors to go", lambda: len(list((front / "fd").iterdir())) <= before, 20)
    check(SANITIZED or pss(i) - memory < 20000, "kB more", pss(i) - memory)
    i.enroll("after-aborts")
    time.sleep(1)
    idle = spent()
    time.sleep(2)
    check(spent() - idle < 0.1, "front still works at something", spent() - idle)
    equal(i.stop(), 0)


def test_one_address_does_not_take_all__OPS_17():
    i = Instance("per-address", settings=["limits.per_address=10"])
    mine = []
    for _ in range(30):
        s = socket.socket()
        s.bind(("127.0.6.1", 0))
        s.connect(("127.0.0.1", i.enroll_port))
        mine.append(s)
    for s in mine:
        s.setblocking(False)

    def ended(s):
        try:
            return s.recv(1) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    gone = set()

    def enough():
        gone.update(s for s in mine if s not in gone and ended(s))
        return len(gone) >= 20

    wait_for("the connections above one address's share to be closed", enough, 10)
    closed = len(gone)
    equal(closed, 20, "of 30 connections from one address")
    i.enroll("other-address")
    for s in mine:
        s.close()


if __name__ == "__main__":
    main(globals())
