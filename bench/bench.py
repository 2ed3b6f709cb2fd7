#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the real roles and prints it: a table for people, JSON for machines (--json FILE). See scripts/bench.

CPU is utime + stime of a role from /proc/PID/stat (all its threads) while the load ran, per 1,000 certificates. Flushes
are counted by a library preloaded into the roles (bench/flush.c: two atomic additions a call, nothing else), in the same
run. Octets per certificate are what the database has grown by, as SQLite counts its pages, the log included. Rates and
times depend on who else uses the machine; CPU much less."""
import argparse
import contextlib
import http.client
import json
import mmap
import os
import pathlib
import platform
import random
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
import base64

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "scenario"))
import harness  # noqa: E402
import acme_load  # noqa: E402

PASSWORD = "benchbenchbench"
PROFILE = None
MILLIONS = 0.2
ONLY = ""
TICK = os.sysconf("SC_CLK_TCK")
ROLES = ("front", "ra", "ca", "va", "probe", "officers", "parent")

# The CPU targets were set on a machine where the floor costs this. On a slower one they are that much larger, and rates that
# much smaller: both are shown, and what is judged is what this machine can do.
FLOOR = 0.165
FLOOR_SHORT = 960 # certificates of the floor beside each row
SCALED = ("cpu", "ra_ca", "resumed_cpu", "per_s")

# What must hold (2 cores, SoftHSM, P-256, everything on): subject, row, value, what, target, what we dream of.
# "<": the value must not be above the target, ">": not below; judged with the digits that the target has.
TARGETS = [
    ("issue", "64 outstanding", "ra_ca", "ra + ca direct, 64 outstanding, CPU s per 1,000", "<", "0.28", "0.20"),
    ("est", "keep-alive, 64", "cpu", "EST keep-alive, 64 clients, CPU s per 1,000", "<", "0.34", "0.25"),
    ("est", "keep-alive, 8", "cpu", "EST keep-alive, 8 clients, CPU s per 1,000", "<", "0.42", "0.32"),
    ("est", "new TLS 1.3, 8", "cpu", "EST new TLS 1.3, 8 clients, CPU s per 1,000", "<", "0.75", "0.55"),
    ("est", "new TLS 1.3, 64", "cpu", "EST new TLS 1.3, 64 clients, CPU s per 1,000", "<", "0.62", "0.45"),
    ("est", "resumed TLS 1.3, 8", "resumed_cpu", "EST resumed TLS 1.3, 8 clients, CPU s per 1,000", "<", "0.65", "0.50"),
    ("issue", "1 outstanding", "flushes", "fdatasync per certificate at 1", "<", "2.0", "1.0"),
    ("issue", "64 outstanding", "flushes", "fdatasync per certificate at 64", "<", "0.25", "0.05"),
    ("slow", "EST keep-alive, 64, flush + 2 ms", "per_s", "EST keep-alive, 64 clients, flush + 2 ms, per s", ">", "3500", "5000"),
    ("slow", "direct, 256, C_Sign + 2 ms", "per_s", "16 sessions, C_Sign + 2 ms, direct, per s", ">", "5000", "6500"),
    ("issue", "64 outstanding", "octets", "octets per certificate in the database", "<", "1100", "800"),
    ("parked", "200 half-finished handshakes", "percent", "front CPU with 200 half-finished handshakes, %", "<", "1.0", "0"),
    ("parked", "PSS of all roles", "mb", "PSS of all roles after 100,000 certificates, MB", "<", "80", "50"),
    ("parked", "idle TLS connection", "kb", "kB per idle TLS connection", "<", "60", "20"),
    ("start", "1,000,000 certificates", "seconds", "start to ready with 1 million certificates, s", "<", "1.0", "0.3"),
    ("growth", "issuance", "ratio_empty", "issuance CPU, full to empty", "<", "1.1", "1.0"),
    ("growth", "growth", "list_ms", "the slowest question, median, ms", "<", "50", "5"),
    ("growth", "growth", "wal_mb", "WAL, MB", "<", "64", "4"),
    ("acme", "whole order, 16", "cpu", "ACME whole order, 16 workers, CPU s per 1,000", "<", "1.00", "0.60"),
    ("acme", "whole order, 16", "flushes", "fdatasync per ACME order with 16 workers", "<", "1.0", "0.3"),
    ("acme", "whole order, 16", "octets", "octets per ACME order in the database", "<", "20000", "2000"),
    ("sandbox", "all layers", "percent", "all sandbox layers, % of CPU per enrolment", "<", "5.0", "0"),
]


def note(text):
    print(text, file=sys.stderr, flush=True)


# --- The service under load

class Service(harness.Instance):
    """An instance whose programs may be replaced: {"front": "bench-front"}."""

    def __init__(self, name, devices, settings=(), programs=None, env=None):
        self.env = {**os.environ, **(env or {})}
        self.next_device = 0
        super().__init__(name, ["limits.connections=4000", "limits.per_address=4000", *settings], start=False)
        self.bin = self.home / "bin"
        self.bin.mkdir(mode=0o755)
        for program in ("caduceus", "caduceus-ca", "caduceus-ra", "caduceus-va", "caduceus-front", "caduceus-probe"):
            shutil.copy(harness.BUILD / program, self.bin / program)
        shutil.copy(self.bin / "caduceus-front", self.bin / "caduceus-front-real")
        for role, program in (programs or {}).items():
            shutil.copy(tool(program), self.bin / f"caduceus-{role}")
        shutil.copy(tool("libbench_flush.so"), self.bin / "flush.so")
        counts = self.home / "flush"
        counts.write_bytes(bytes(4096))
        counts.chmod(0o666)
        self.counts = mmap.mmap(os.open(counts, os.O_RDWR), 4096)
        self.env.update(LD_PRELOAD=str(self.bin / "flush.so"), BENCH_FLUSH_FILE=str(counts))
        self.database = self.dir / "caduceus.db"
        self.fill("devices", devices, 0, PASSWORD)
        self.devices = devices

    def fill(self, *argv):
        done = harness.run(tool("bench-fill"), self.database, *argv, timeout=7200)
        harness.check(done.returncode == 0, "bench-fill:", done.stderr)

    def start(self):
        self.serve = subprocess.Popen([str(self.bin / "caduceus"), "serve", "--dir", str(self.dir)], env=self.env, text=True,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=open(self.log, "ab"))
        line = self.serve.stdout.readline()
        harness.check(line.strip() == "ready", "serve did not become ready:", line, self.log_text()[-3000:])
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            self.close()

    def take(self, n):
        """The numbers of n devices that have not enrolled: the first."""
        first, self.next_device = self.next_device, self.next_device + n
        harness.check(self.next_device <= self.devices, "more devices are needed than were made")
        return first

    def pids(self):
        return {**self.roles(), "parent": self.serve.pid}

    def flushes(self):
        return struct.unpack("QQQ", self.counts[:24])

    def size(self):
        db = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        try:
            pages, = db.execute("PRAGMA page_count").fetchone()
            free, = db.execute("PRAGMA freelist_count").fetchone()
            size, = db.execute("PRAGMA page_size").fetchone()
            return (pages - free) * size
        finally:
            db.close()


def tool(name):
    return harness.BUILD / "bench" / name


def cpu(pids):
    """CPU seconds so far, by role."""
    seconds = {}
    for role, pid in pids.items():
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        seconds[role] = (int(fields[11]) + int(fields[12])) / TICK
    return seconds


def pss(pids):
    """Proportional set size in kB, by role."""
    found = {}
    for role, pid in pids.items():
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                found[role] = int(line.split()[1])
    return found


def perf_report(data, pid, children):
    """What perf says of one process, its threads together: (inclusive or own share, library, function)."""
    done = harness.run("perf", "report", "--stdio", "--no-inline", "-g", "none", "-t", "|", "--percentage", "relative", "-i", data, "--pid", pid,
                       "-s", "pid,dso,symbol", "--children" if children else "--no-children", timeout=300)
    shares, at = {}, 4 if children else 3
    for line in done.stdout.splitlines():
        r = [c.strip() for c in line.split("|")]
        if len(r) > at and not line.startswith("#"):  # a row for each thread
            where = (r[at - 1], r[at])
            shares[where] = shares.get(where, 0) + float(r[0].rstrip("%"))
    return [(v, *k) for k, v in sorted(shares.items(), key=lambda x: -x[1])]


def profile_text(data, pid):
    """Shares of a role's CPU by library; by function with all it calls (libraries show what they export); by itself."""
    own, library = perf_report(data, pid, False), {}
    for share, name, _ in own:
        library[name] = library.get(name, 0) + share
    named = [r for r in perf_report(data, pid, True) if "0x0" not in r[2] and r[1] not in ("[unknown]", "[kernel.kallsyms]")]
    return "\n".join(["by library", *(f"  {v:6.2f}  {k}" for k, v in sorted(library.items(), key=lambda x: -x[1])),
                      "with what it calls", *(f"  {v:6.2f}  {where:<22} {what[4:]}" for v, where, what in named[:90]),
                      "by itself", *(f"  {v:6.2f}  {where:<22} {what[4:]}" for v, where, what in own[:40] if "0x0" not in what), ""])


@contextlib.contextmanager
def profiled(name, pids):
    """With --profile DIR: where the roles' CPU went, by function, in DIR/NAME.ROLE.txt. perf's own work is on the same
    cores: the figures of such a run are not to be compared."""
    if PROFILE is None or name == "warm-up":
        yield
        return
    stem = PROFILE / re.sub(r"[^a-z0-9.]+", "-", name.lower())
    # All of the machine, since threads that live for one connection are not seen by who attaches to a process.
    data = pathlib.Path(f"{stem}.data")
    p = subprocess.Popen(["perf", "record", "-q", "-a", "--call-graph", "dwarf,16384", "-F", "499", "-e", "cpu-clock", "-o", str(data)],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield
    finally:
        p.send_signal(signal.SIGINT)
        p.wait(120)
    for role, pid in pids.items():
        if role in ("front", "ra", "ca", "va"):
            pathlib.Path(f"{stem}.{role}.txt").write_text(profile_text(data, pid))
    data.unlink(missing_ok=True)


def floor_now(n):
    """What bench-floor says of n certificates."""
    folder = tempfile.mkdtemp(prefix="cad-floor-")
    try:
        done = harness.run(tool("bench-floor"), folder, n)
        harness.check(done.returncode == 0, "bench-floor:", done.stderr)
        return json.loads(done.stdout)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


LAST_FLOOR = [0.0, 0.0] # when, what: serves the next row, too


def floor_beside():
    if time.monotonic() - LAST_FLOOR[0] > 3:
        LAST_FLOOR[:] = time.monotonic(), floor_now(FLOOR_SHORT)["cpu_64"]
    return LAST_FLOOR[1]


def measure(name, i, load):
    """Runs load() -> its JSON, and adds what the roles spent on it. The floor is taken right before and after: a machine that
    others use is not as fast at one minute as at the next."""
    floors = [floor_beside()]
    pids, size, flushes = i.pids(), i.size(), i.flushes()
    with profiled(name, pids):
        before = cpu(pids)
        got = load()
    spent = {role: s - before[role] for role, s in cpu(pids).items()}
    LAST_FLOOR[0] = 0
    floors.append(floor_beside())
    n = got["done"]
    harness.check(n > 0 and got["refused"] == 0, name, "refused:", got)
    per = {role: s * 1000 / n for role, s in spent.items()}
    return {
        "name": name, "n": n, "per_s": n / got["seconds"], "p50_ms": got["p50_us"] / 1000, "p99_ms": got["p99_us"] / 1000,
        "floor": sum(floors) / 2, "roles": {r: per.get(r, 0.0) for r in ROLES}, "cpu": sum(per.values()), "ra_ca": per["ra"] + per["ca"],
        "flushes": (i.flushes()[0] - flushes[0]) / n, "pwrites": (i.flushes()[1] - flushes[1]) / n,
        "written": (i.flushes()[2] - flushes[2]) / n, "octets": (i.size() - size) / n, **({"reused": got["reused"] / n} if got.get("reused") else {}),
    }


def est_clients(i, mode, clients, n):
    return acme_load.prepared(tool("bench-est"), i.enroll_port, mode, clients, n, i.take(n), PASSWORD)


def est_run(i, name, mode, clients, n):
    with est_clients(i, mode, clients, n) as go:
        return measure(name, i, go)


def warm(i):
    """Until the signer is there."""
    for _ in range(50):
        with est_clients(i, "keep", 1, 1) as go:
            if go()["refused"] == 0:
                return i
        time.sleep(0.1)
    raise harness.Failure("no enrolment works")


class Direct:
    """The line to bench-front, which stands in front's place."""

    def __init__(self, i):
        self.i, self.sock = i, socket.create_connection(("127.0.0.1", i.enroll_port), 60)
        self.lines = self.sock.makefile("r")
        for _ in range(50):
            if self.prepare(1) and self.go(1)["refused"] == 0:
                return
            time.sleep(0.1)
        raise harness.Failure("ra does not answer")

    def ask(self, line):
        self.sock.sendall(line.encode() + b"\n")
        return self.lines.readline().strip()

    def prepare(self, n):
        return self.ask(f"prepare {self.i.take(n)} {n} {PASSWORD}") == "prepared"

    def go(self, outstanding):
        return json.loads(self.ask(f"go {outstanding}"))

    def run(self, name, outstanding, n):
        harness.check(self.prepare(n), "bench-front")
        return measure(name, self.i, lambda: self.go(outstanding))

    def close(self):
        self.lines.close()
        self.sock.close()


# --- Subjects: each returns rows

def floor():
    got = floor_now(4800)
    return [{"name": "one loop, a flush per 64", "cpu": got["cpu_64"], "flush_us": got["flush_us_64"], "steps_us": got["steps_us"]},
            {"name": "one loop, a flush per 1", "cpu": got["cpu_1"], "flush_us": got["flush_us_1"]}]


def issue():
    with Service("issue", 16000, programs={"front": "bench-front"}).start() as i:
        d = Direct(i)
        try:
            d.run("warm-up", 64, 400)
            rows = [d.run(f"{outstanding} outstanding", outstanding, n)
                    for outstanding, n in ((1, 800), (8, 2500), (64, 5000), (256, 5000))
                    if ONLY in f"{outstanding} outstanding"]
        finally:
            d.close()
        rows[-1]["pss_kb"] = pss(i.pids())
        return rows


def est():
    plan = [("keep-alive", "keep", (500, 2000, 4000)), ("new TLS 1.3", "new13", (300, 1000, 1200)), ("new TLS 1.2", "new12", (200, 600, 600)),
            ("resumed TLS 1.3", "resumed", (200, 800, 800)), ("client certificate", "client", (200, 500, 600))]
    with Service("est", sum(sum(counts) for _, _, counts in plan) + 500).start() as i:
        warm(i)
        est_run(i, "warm-up", "keep", 8, 300)
        rows = [est_run(i, f"{name}, {clients}", mode, clients, n)
                for name, mode, counts in plan for clients, n in zip((1, 8, 64), counts)
                if ONLY in f"{name}, {clients}"]
        for row in rows:
            if row["name"].startswith("resumed"):
                if row.get("reused", 0) > 0.9:
                    row["resumed_cpu"] = row["cpu"]
                else:
                    row["note"] = f"resumed {row.get('reused', 0):.0%}: the service gives no tickets"
        rows[-1]["pss_kb"] = pss(i.pids())
        return rows


def ocsp_der(i, serial, nonce):
    out = i.path("ocsp.der")
    done = harness.run("openssl", "ocsp", "-issuer", i.dir / "trust" / "devices.pem", "-serial", "0x" + serial, "-reqout", out,
                       *([] if nonce else ["-no_nonce"]))
    harness.check(done.returncode == 0, done.stderr)
    return out.read_bytes()


def write_requests(path, requests):
    path.write_bytes(b"".join(struct.pack(">I", len(r)) + r for r in requests))
    return path


def http_run(port, connections, n, path):
    done = harness.run(tool("bench-http"), port, connections, n, path)
    harness.check(done.returncode == 0, "bench-http:", done.stderr)
    return json.loads(done.stdout)


def http_row(name, pids, port, connections, n, path):
    before = cpu(pids)
    got = http_run(port, connections, n, path)
    spent = {role: s - before[role] for role, s in cpu(pids).items()}
    harness.check(got["refused"] == 0, name, got)
    return {"name": name, "n": n, "per_s": n / got["seconds"], "p50_ms": got["p50_us"] / 1000, "p99_ms": got["p99_us"] / 1000,
            "roles_us": {r: s * 1e6 / n for r, s in spent.items()}, "us": sum(spent.values()) * 1e6 / n, "answer": got["octets"]}


@contextlib.contextmanager
def nginx(size):
    """A static file of this many octets on a loopback port: the port and pids."""
    home = pathlib.Path(tempfile.mkdtemp(prefix="cad-nginx-"))
    port = harness.free_port()
    home.chmod(0o755)
    (home / "www").mkdir()
    (home / "www" / "answer").write_bytes(os.urandom(size))
    user = "user www-data;" if os.geteuid() == 0 else ""
    (home / "nginx.conf").write_text(f"""{user} worker_processes 2; daemon off; pid {home}/pid; error_log {home}/error.log;
events {{ worker_connections 1024; }}
http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; open_file_cache max=16;
default_type application/ocsp-response;
{"".join(f"{k}_temp_path {home}/{k};" for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))}
server {{ listen 127.0.0.1:{port}; root {home}/www; }} }}""")
    p = subprocess.Popen(["nginx", "-c", str(home / "nginx.conf"), "-p", str(home), "-e", str(home / "error.log")],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def there():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", port)) == 0
        harness.wait_for("nginx", there)
        children = harness.run("ps", "-o", "pid=", "--ppid", p.pid).stdout.split()
        yield port, {"nginx": p.pid, **{f"worker{k}": int(c) for k, c in enumerate(children)}}
    finally:
        p.terminate()
        p.wait(10)
        shutil.rmtree(home, ignore_errors=True)


def ocsp():
    serials, n, live = 400, 30000, 3000
    with Service("ocsp", serials + 100).start() as i:
        warm(i)
        est_run(i, "certificates", "keep", 8, serials)
        found = [r[0] for r in sqlite3.connect(f"file:{i.database}?mode=ro", uri=True).execute(
            "SELECT serial FROM certificate WHERE subject IN (SELECT id FROM subject WHERE kind = 'device') LIMIT ?", (serials,))]
        plain, noncy = ocsp_der(i, found[0].hex(), False), ocsp_der(i, found[0].hex(), True)
        nonce_at = noncy.rfind(b"\x04\x10") + 2
        post, get, nonce = [], [], []
        for s in found:
            der = plain.replace(found[0], s)
            post.append(b"POST /ocsp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/ocsp-request\r\nContent-Length: %d\r\n\r\n"
                        % len(der) + der)
            get.append(b"GET /ocsp/" + urllib.parse.quote(base64.b64encode(der).decode(), safe="").encode() +
                       b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            der = noncy.replace(found[0], s)
            der = der[:nonce_at] + os.urandom(16) + der[nonce_at + 16:]
            nonce.append(b"POST /ocsp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/ocsp-request\r\nContent-Length: %d\r\n\r\n"
                         % len(der) + der)
        files = {k: write_requests(i.path(k), v) for k, v in (("post", post), ("get", get), ("nonce", nonce))}
        http_run(i.va_port, 8, serials, files["post"])  # every answer is signed once
        rows = []
        for what, path, count in (("POST", "post", n), ("GET", "get", n), ("POST with nonce", "nonce", live)):
            for connections in (8, 64):
                rows.append(http_row(f"{what}, {connections}", i.pids(), i.va_port, connections, count, files[path]))
        size = int(rows[0]["answer"])
        with nginx(size - 240) as (port, pids):
            static = write_requests(i.path("static"), [b"GET /answer HTTP/1.1\r\nHost: localhost\r\n\r\n"])
            for connections in (8, 64):
                row = http_row(f"nginx, static, {connections}", pids, port, connections, n, static)
                row["roles_us"] = {"nginx": row["us"]}
                rows.append(row)
        by_name = {r["name"]: r for r in rows}
        for row in rows:
            row["ratio_nginx"] = row["us"] / by_name["nginx, static, " + row["name"].rpartition(" ")[2]]["us"]
        return rows


def slow():
    rows = []
    with Service("slow", 7000, env={"BENCH_FLUSH_US": "2000"}).start() as i:
        warm(i)
        rows.append(est_run(i, "EST keep-alive, 8, flush + 2 ms", "keep", 8, 1000))
        rows.append(est_run(i, "EST keep-alive, 64, flush + 2 ms", "keep", 64, 5000))
    with Service("slow", 12000, ["hsm.sessions=16"], {"front": "bench-front", "ca": "bench-slow-ca"},
                 {"BENCH_SIGN_US": "2000"}).start() as i:
        d = Direct(i)
        try:
            rows.append(d.run("direct, 64, C_Sign + 2 ms", 64, 4000))
            rows.append(d.run("direct, 256, C_Sign + 2 ms", 256, 6000))
        finally:
            d.close()
    return rows


def sandbox():
    turns, n = 12, 900
    bare = {role: f"bench-bare-{role}" for role in ("ca", "ra", "va", "front", "probe")}
    with Service("layers", turns * n + 400).start() as on, Service("bare", turns * n + 400, programs=bare).start() as off:
        runs = {"on": [], "off": []}
        for i in (on, off):
            est_run(warm(i), "warm-up", "keep", 8, 300)
        harness.check(on.json("status", code=None)["sandbox"] != off.json("status", code=None)["sandbox"], "the layers are the same")
        for turn in range(turns):
            for which, i in (("on", on), ("off", off))[::1 if turn % 2 == 0 else -1]:
                runs[which].append(est_run(i, f"layers {which}", "keep", 8, n))
    rows = []
    for which, list_of in runs.items():
        row = dict(sorted(list_of, key=lambda r: r["cpu"])[len(list_of) // 2])
        row["name"] = f"layers {which}, median of {turns}"
        row["all"] = [round(r["cpu"], 4) for r in list_of]
        rows.append(row)
    # Pair by pair, since the machine's speed drifts; a quarter of the pairs at each end is left out.
    ratios = sorted(a["cpu"] / b["cpu"] for a, b in zip(runs["on"], runs["off"]))
    middle = ratios[turns // 4:turns - turns // 4]
    return rows + [{"name": "all layers", "percent": (sum(middle) / len(middle) - 1) * 100},
                   {"name": "all layers, lowest pair", "percent": (ratios[0] - 1) * 100},
                   {"name": "all layers, highest pair", "percent": (ratios[-1] - 1) * 100}]


def client_hello():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    out = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def parked():
    idle = 500
    with Service("parked", 25000) as i:
        warm(i.start())
        i.stop()
        i.fill("certificates", 100000, 0, 1)
        warm(i.start())
        est_run(i, "load", "keep", 8, 2000)
        time.sleep(0.5)
        before = pss(i.pids())
        rows = [{"name": "PSS of all roles", "mb": sum(before.values()) / 1000, "pss_kb": before}]
        p = subprocess.Popen([str(tool("bench-est")), str(i.enroll_port), "idle", "1", str(idle), "0", PASSWORD], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
        try:
            harness.check(p.stdout.readline().strip() == "held", "idle connections")
            time.sleep(0.3)
            after = pss(i.pids())
            rows.append({"name": "idle TLS connection", "kb": (after["front"] - before["front"]) / idle, "n": idle})
        finally:
            p.stdin.close()
            p.wait(20)
            p.stdout.close()
        hello = client_hello()
        for what, octets in (("half a ClientHello", hello[:len(hello) // 2]), ("a ClientHello, then silence", hello)):
            sockets = []
            try:
                for _ in range(200):
                    s = socket.create_connection(("127.0.0.1", i.enroll_port))
                    s.sendall(octets)
                    sockets.append(s)
                time.sleep(0.5)
                front = {"front": i.pids()["front"]}
                began, spent = time.monotonic(), cpu(front)["front"]
                time.sleep(5)
                spent = cpu(front)["front"] - spent
                rows.append({"name": f"200 times {what}", "percent": spent * 100 / (time.monotonic() - began)})
            finally:
                for s in sockets:
                    s.close()
        rows.append({"name": "200 half-finished handshakes", "percent": max(rows[-1]["percent"], rows[-2]["percent"])})
        return rows


def api(i, verb, **arguments):
    """One call on the officers' socket: milliseconds, and the answer."""
    s = socket.socket(socket.AF_UNIX)
    s.connect(str(i.dir / "run" / "officer.sock"))
    body = json.dumps(arguments).encode()
    began = time.monotonic()
    s.sendall(b"POST /api/v1/%s HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
              % (verb.replace(".", "/").encode(), len(body)) + body)
    got = bytearray()
    while piece := s.recv(65536):
        got += piece
    s.close()
    ms = (time.monotonic() - began) * 1000
    head, _, text = bytes(got).partition(b"\r\n\r\n")
    harness.check(b" 200 " in head.split(b"\r\n")[0], verb, arguments, got[:300])
    return ms, json.loads(text)


def asked(i, label, verb, rows=None, pages=30, **arguments):
    """A question asked again and again; of a list, page after page. The slowest counts."""
    times, found, next_page = [], 0, {}
    for _ in range(pages):
        ms, answer = api(i, verb, **arguments, **next_page)
        times.append(ms)
        found += len(answer.get(rows, ())) if rows else 1
        next_page = {"after": answer["next"]} if answer.get("next") else {}
    return {"name": label, "list_ms": statistics.median(times), "worst_ms": max(times), "found": found, "n": len(times)}


def lists(i, db):
    serial, device, later = db.execute("SELECT c.serial, s.name, c.not_after FROM certificate c JOIN subject s ON s.id = c.subject"
                                       " WHERE s.kind = 'device' ORDER BY c.id DESC LIMIT 1 OFFSET 5000").fetchone()
    day = 86400 * 1000000
    rows = [asked(i, "cert list", "cert.list", "certificates"),
            asked(i, "cert list --device", "cert.list", "certificates", device=device),
            asked(i, "cert list --status valid", "cert.list", "certificates", status="valid"),
            asked(i, "cert list --status revoked", "cert.list", "certificates", status="revoked"),
            asked(i, "cert list --status expired", "cert.list", "certificates", status="expired"),
            asked(i, "cert list --expiring 30d", "cert.list", "certificates", expiring=30 * day),
            asked(i, "cert list --subject, one of all", "cert.list", "certificates", subject=f"CN={device},"),
            asked(i, "cert list --ca servers, one of all", "cert.list", "certificates", ca="servers"),
            asked(i, "cert list --profile ocsp, few of all", "cert.list", "certificates", profile="ocsp"),
            asked(i, "cert show SERIAL", "cert.show", cert=serial.hex()),
            asked(i, "cert show PREFIX", "cert.show", cert=serial.hex()[:24]),
            asked(i, "cert show DEVICE", "cert.show", cert=device),
            asked(i, "device show", "device.show", name=device),
            asked(i, "device list", "device.list", "devices")]
    began = time.monotonic()
    done = harness.run(harness.BUILD / "caduceus", "cert", "list", "--subject", f"CN={device},", "--json", "--dir", i.dir, timeout=600)
    harness.check(done.returncode == 0, done.stderr)
    whole = time.monotonic() - began
    harness.check(device in done.stdout, "cert list --subject does not find", device)
    return rows + [{"name": "cert list --subject to its end, by the command line", "whole_s": whole}]


def retain(i, duration):
    """Another retention.certificates, taken up at SIGHUP."""
    path = i.dir / "caduceus.yaml"
    lines = path.read_text().splitlines(keepends=True)
    at = lines.index("retention:\n")
    at += next(k for k, line in enumerate(lines[at:]) if line.lstrip().startswith("certificates:"))
    lines[at] = f"  certificates: {duration}\n"
    path.write_text("".join(lines))
    i.serve.send_signal(signal.SIGHUP)


def growth():
    """An instance with MILLIONS of certificates beside an empty one."""
    n, turns, per_turn = int(MILLIONS * 1000000), 5, 800
    wal = lambda i: pathlib.Path(f"{i.database}-wal").stat().st_size / 1e6
    with Service("growth", max(20000, n // 4)) as full, Service("empty", (turns + 2) * per_turn + 1000) as empty:
        warm(full.start())
        full.stop()
        began = time.monotonic()
        full.fill("certificates", n, 10, 1)
        filled = time.monotonic() - began
        note(f"growth: filled in {filled:.0f} s")
        size = full.database.stat().st_size
        began = time.monotonic()
        full.start()
        ready = time.monotonic() - began
        empty.start()
        memory = pss(full.pids())
        runs = {"full": [], "empty": []}
        for i in (full, empty):
            est_run(warm(i), "warm-up", "keep", 8, 400)
        for turn in range(turns):
            for which, i in (("full", full), ("empty", empty))[::1 if turn % 2 == 0 else -1]:
                runs[which].append(est_run(i, which, "keep", 8, per_turn))
        rows = []
        for which, name in (("empty", "EST keep-alive, 8, empty"), ("full", f"EST keep-alive, 8, {MILLIONS:g} million")):
            row = dict(sorted(runs[which], key=lambda r: r["cpu"])[turns // 2])
            row.update(name=name, all=[round(r["cpu"], 3) for r in runs[which]])
            rows.append(row)
        least = {which: min(r["cpu"] for r in runs[which]) for which in runs}
        rows.append({"name": "issuance", "ratio_empty": least["full"] / least["empty"], "n": n})
        rows += lists(full, sqlite3.connect(f"file:{full.database}?mode=ro", uri=True))
        p = subprocess.Popen([str(harness.BUILD / "caduceus"), "cert", "list", "--ca", "servers", "--json", "--dir", str(full.dir)],
                             stdout=subprocess.DEVNULL)
        rows.append(est_run(full, "while a list reads all", "keep", 8, per_turn))
        p.wait(900)
        rows[-1]["wal_mb"] = wal(full)
        ended = full_count(full)
        retain(full, "1d")
        time.sleep(1)
        began = time.monotonic()
        rows.append(est_run(full, "while what ended is swept", "keep", 8, per_turn))
        time.sleep(max(0.0, 5 - (time.monotonic() - began)))
        gone = ended + per_turn - full_count(full)
        rows[-1]["wal_mb"] = wal(full)
        harness.check(gone > 0, "nothing was swept")
        rows.append({"name": "sweep", "swept_per_s": gone / (time.monotonic() - began), "n": gone})
        rows.append({"name": "growth", "seconds": ready, "va_seconds": ready, "fill_seconds": filled, "database_mb": size / 1e6, "pss_kb": memory,
                     "worst_ms": max(r["worst_ms"] for r in rows if "list_ms" in r), "list_ms": max(r["list_ms"] for r in rows if "list_ms" in r),
                     "wal_mb": max(r["wal_mb"] for r in rows if "wal_mb" in r), "octets_each": size / n})
        return rows


def full_count(i):
    db = sqlite3.connect(f"file:{i.database}?mode=ro", uri=True)
    try:
        return db.execute("SELECT count(*) FROM status").fetchone()[0]
    finally:
        db.close()


def start():
    n = 1000000
    with Service("start", 250000) as i:
        warm(i.start())
        i.stop()
        began = time.monotonic()
        i.fill("certificates", n, 10, 1)
        filled = time.monotonic() - began
        size = i.database.stat().st_size
        serial = sqlite3.connect(f"file:{i.database}?mode=ro", uri=True).execute(
            "SELECT serial FROM status WHERE state = 0 ORDER BY ref DESC, serial DESC LIMIT 1").fetchone()[0]
        question = ocsp_der(i, serial.hex(), False)
        began = time.monotonic()
        i.start()
        ready = time.monotonic() - began

        def answered():
            c = http.client.HTTPConnection("127.0.0.1", i.va_port, timeout=10)
            try:
                c.request("POST", "/ocsp", question, {"Content-Type": "application/ocsp-request"})
                return b"\x0a\x01\x00" in c.getresponse().read()[:12]
            finally:
                c.close()
        harness.wait_for("va to know all", answered, 60)
        known = time.monotonic() - began
        memory = pss(i.pids())
        again = est_run(i, "EST keep-alive, 8, with them", "keep", 8, 1000)
        return [{"name": "1,000,000 certificates", "seconds": ready, "va_seconds": known, "fill_seconds": filled, "database_mb": size / 1e6,
                 "pss_kb": memory}, again]


def acme():
    return acme_load.subject(sys.modules[__name__])


SUBJECTS = {f.__name__: f for f in (floor, issue, est, acme, ocsp, slow, sandbox, parked, start, growth)}
LONG = ("growth",)  # only when they are named


# --- For people

def table(head, rows):
    width = [max(len(str(r[c])) for r in [head, *rows]) for c in range(len(head))]
    for r in (head, *rows):
        print("  " + "  ".join(str(v).ljust(w) if c == 0 else str(v).rjust(w) for c, (v, w) in enumerate(zip(r, width))).rstrip())


def show(subject, rows, base):
    print(f"\n{subject}")
    enrolments = [r for r in rows if "roles" in r]
    questions = [r for r in rows if "roles_us" in r]
    if enrolments:
        print("  CPU seconds per 1,000 certificates by role; ratio to the floor beside each row")
        table(["", "per s", "p50 ms", "p99", "front", "ra", "ca", "va", "probe", "rest", "sum", "ratio", "flushes", "pwrites", "octets"],
              [[r["name"], f"{r['per_s']:.0f}", f"{r['p50_ms']:.2f}", f"{r['p99_ms']:.2f}",
                *(f"{r['roles'][k]:.3f}" for k in ("front", "ra", "ca", "va", "probe")), f"{r['roles']['officers'] + r['roles']['parent']:.3f}",
                f"{r['cpu']:.3f}", f"{r['ratio']:.2f}", f"{r['flushes']:.2f}", f"{r['pwrites']:.1f}", f"{r['octets']:.0f}"]
               for r in enrolments])
    if questions:
        print("  CPU microseconds per request by role")
        table(["", "per s", "p50 ms", "p99", "va", "ca", "ra", "sum", "to nginx", "octets"],
              [[r["name"], f"{r['per_s']:.0f}", f"{r['p50_ms']:.2f}", f"{r['p99_ms']:.2f}",
                *(f"{r['roles_us'].get(k, 0):.1f}" for k in ("va", "ca", "ra")), f"{r['us']:.1f}", f"{r['ratio_nginx']:.2f}",
                f"{r['answer']:.0f}"] for r in questions])
    for r in rows:
        if "note" in r:
            print(f"  {r['name']}: {r['note']}")
        if "steps_us" in r:
            print(f"  {r['name']}: {r['cpu']:.4f} CPU s per 1,000; fdatasync takes {r['flush_us']:.0f} us")
            print("    CPU us each: " + ", ".join(f"{k} {v:.1f}" for k, v in r["steps_us"].items()))
        elif "flush_us" in r:
            print(f"  {r['name']}: {r['cpu']:.4f} CPU s per 1,000; fdatasync takes {r['flush_us']:.0f} us")
        elif "percent" in r:
            print(f"  {r['name']}: {r['percent']:.2f} %")
        elif "pebble_cpu" in r:
            print(f"  {r['name']}: {r['pebble_cpu']:.2f} CPU s per 1,000, {r['per_s']:.0f} per s, p50 {r['p50_ms']:.1f} ms, p99 {r['p99_ms']:.1f} ms, "
                  f"{r['failed']} of {r['n']} failed" + (f": {r['why']}" if r["failed"] else ""))
        elif "kb" in r:
            print(f"  {r['name']}: {r['kb']:.1f} kB (of {r['n']})")
        elif "ratio_empty" in r:
            print(f"  {r['name']}: {r['ratio_empty']:.3f} times the CPU of an empty database, by the cheapest run of each")
        elif "whole_s" in r:
            print(f"  {r['name']}: {r['whole_s']:.2f} s")
        elif "swept_per_s" in r:
            print(f"  {r['name']}: {r['swept_per_s']:.0f} certificates a second")
        elif "list_ms" in r and "found" in r:
            print(f"  {r['name']:<40} {r['list_ms']:7.2f} ms, slowest of {r['n']} {r['worst_ms']:7.2f} ms, {r['found']} rows")
        if "wal_mb" in r:
            print(f"  {r['name']}: WAL {r['wal_mb']:.1f} MB")
        if "octets_each" in r:
            print(f"  {r['name']}: {r['octets_each']:.0f} octets a certificate, audit record and device included")
        if "seconds" in r:
            print(f"  {r['name']}: ready after {r['seconds']:.2f} s, va knows all after {r['va_seconds']:.2f} s; database of "
                  f"{r['database_mb']:.0f} MB (made in {r['fill_seconds']:.0f} s)")
        if "all" in r:
            print(f"  {r['name']}: {r['all']}")
        if "pss_kb" in r:
            print(f"  PSS, MB ({r['name']}): " + ", ".join(f"{k} {v / 1000:.1f}" for k, v in r["pss_kb"].items()) +
                  f"; all {sum(r['pss_kb'].values()) / 1000:.1f}")


def slower(results):
    """How many times slower this machine is, now, than the one that the targets are of; at least 1."""
    return factor_of(results["floor"][0]["cpu"]) if "floor" in results else 1.0


def factor_of(cpu):
    return max(1.0, cpu / FLOOR)


def judge(results):
    rows = []
    for subject, name, value, what, sense, target, dream in TARGETS:
        if subject not in results:
            continue
        row = next((r for r in results[subject] if r["name"] == name), None)
        if row is None:
            continue
        digits = len(target.partition(".")[2])
        got = row.get(value)
        factor = factor_of(row["floor"]) if "floor" in row else slower(results)
        here = float(target) if value not in SCALED else float(target) * factor if sense == "<" else float(target) / factor
        if got is None:
            met = None
        else:
            met = round(got, digits) <= round(here, digits) if sense == "<" else round(got, digits) >= round(here, digits)
        rows.append({"what": what, "got": got, "sense": sense, "target": float(target), "here": here, "dream": float(dream), "met": met,
                     "shown": [what, "-" if got is None else f"{got:.{max(digits, 1 if float(target) < 100 else 0)}f}", target, dream, f"{here:.{digits}f}",
                               "not measured" if met is None else "met" if met else "MISSED"]})
    return rows


def machine():
    cpu_name = next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    return {"cpu": cpu_name, "cores": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0], "root": os.geteuid() == 0,
            "commit": harness.run("git", "-C", ROOT, "rev-parse", "--short=12", "HEAD").stdout.strip()}


def main():
    a = argparse.ArgumentParser(description="Measures what enrolment and status cost.")
    a.add_argument("names", nargs="*", metavar="NAME", help=" ".join(SUBJECTS) + "; after growth: how many millions")
    a.add_argument("--build", default="build-bench")
    a.add_argument("--json", metavar="FILE", help="also as JSON; - for standard output, then without the tables")
    a.add_argument("--profile", metavar="DIR", help="also where each role's CPU went, by perf: DIR/ROW.ROLE.txt")
    a.add_argument("--only", metavar="TEXT", default="", help="only rows whose name has it (for profiles)")
    o = a.parse_args()
    global PROFILE, ONLY, MILLIONS
    numbers = [n for n in o.names if n.replace(".", "", 1).isdigit()]
    if numbers and "growth" in o.names:
        MILLIONS = float(numbers[-1])
        o.names = [n for n in o.names if n not in numbers]
    ONLY = o.only
    if o.profile:
        PROFILE = pathlib.Path(o.profile)
        PROFILE.mkdir(parents=True, exist_ok=True)
    for name in o.names:
        if name not in SUBJECTS:
            a.error(f"there is no subject {name}; there are {' '.join(SUBJECTS)}")
    harness.BUILD = pathlib.Path(o.build).resolve()
    # Everything that runs is ended by the end of its `with`.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    wanted = [n for n in SUBJECTS if n in o.names or (not o.names and n not in LONG)]
    results, failed, began = {}, 0, time.monotonic()
    about = machine()
    if "floor" not in wanted and set(wanted) & {"issue", "est", "acme", "slow", "sandbox", "start", "growth"}:
        wanted.insert(0, "floor")
    quiet = o.json == "-"
    if not quiet:
        print(f"{about['cpu']}, {about['cores']} cores, Linux {about['kernel']}, load {about['load']:.1f} before; commit {about['commit']}"
              + ("" if about["root"] else "; not root: the roles share one uid"))
        if about["load"] > about["cores"] / 2:
            print("others use this machine: CPU figures are too high, rates too low; the ratio to the floor holds best")
    for name in wanted:
        t = time.monotonic()
        note(f"{name} …")
        try:
            results[name] = SUBJECTS[name]()
        except (harness.Failure, subprocess.TimeoutExpired, OSError) as e:
            failed += 1
            print(f"\n{name}: FAILED: {e}", file=sys.stderr)
            continue
        note(f"{name}: {time.monotonic() - t:.0f} s")
        base = results["floor"][0]["cpu"] if "floor" in results else 1
        for row in results[name]:
            if "roles" in row:
                row["ratio"] = row["cpu"] / row.get("floor", base)
        if not quiet:
            show(name, results[name], base)
    judged = judge(results)
    if judged and not quiet:
        print("\ntargets" + (f"; this machine is {slower(results):.1f} times slower now than theirs, by the floor; each row by its own" if slower(results) > 1.05 else ""))
        table(["", "measured", "target", "dream", "here", ""], [r["shown"] for r in judged])
        missed = [r["what"] for r in judged if r["met"] is False]
        print(f"{len(missed)} missed" + (": " + "; ".join(missed) if missed else "") + f". {time.monotonic() - began:.0f} s")
    if o.json:
        text = json.dumps({"machine": about, "seconds": time.monotonic() - began, "results": results,
                           "targets": [{k: v for k, v in r.items() if k != "shown"} for r in judged]}, indent=1)
        print(text) if quiet else pathlib.Path(o.json).write_text(text + "\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
