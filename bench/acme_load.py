# SPDX-License-Identifier: Apache-2.0
"""Subject `acme` of bench.py: whole ACME orders, beside Debian's pebble (a test server without a database) in the same run."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import harness

ORDERS = ((1, 150), (8, 500), (16, 1000))
SLOW_ORDERS = ((16, 600),)
PEBBLE_ORDERS = ((1, 50), (16, 200))


class Pebble:
    """pebble on loopback ports, as fast as it goes: no pauses, no nonce refused on purpose."""

    def __init__(self, http_port, tls_port, dns_address, env=None):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="cad-pebble-"))
        self.port, self.log = harness.free_port(), self.home / "log"
        self.root, key, leaf = self.home / "tls.pem", self.home / "tls.key", self.home / "leaf.pem"
        done = harness.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=tls",
                           "-addext", "subjectAltName=DNS:localhost", "-days", "2", "-keyout", key, "-out", self.root)
        harness.check(done.returncode == 0, done.stderr)
        shutil.copy(self.root, leaf)
        (self.home / "c.json").write_text(json.dumps({"pebble": {
            "listenAddress": f"127.0.0.1:{self.port}", "certificate": str(leaf), "privateKey": str(key), "httpPort": http_port,
            "tlsPort": tls_port, "ocspResponderURL": "", "externalAccountBindingRequired": False}}))
        self.directory = f"https://localhost:{self.port}/dir"
        self.process = subprocess.Popen(["pebble", "-config", str(self.home / "c.json"), "-dnsserver", dns_address],
                                        env={**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", **(env or {})},
                                        stdin=subprocess.DEVNULL, stdout=open(self.log, "w"), stderr=subprocess.STDOUT)
        try:
            harness.wait_for("pebble", lambda: harness.run("curl", "-sS", "--noproxy", "*", "--cacert", self.root, self.directory).returncode == 0)
        except harness.Failure:
            self.close()
            raise

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@contextlib.contextmanager
def prepared(*argv):
    """Clients that say "prepared" and wait for a line: yields a function that lets them go and gives what they say then."""
    p = subprocess.Popen([str(a) for a in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def go():
        p.stdin.write("go\n")
        p.stdin.flush()
        return json.loads(p.stdout.readline())
    try:
        if p.stdout.readline().strip() != "prepared":
            raise harness.Failure(f"{argv[0]}: {p.stderr.read()}")
        yield go
    finally:
        p.stdin.close()
        try:
            p.wait(20)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
        p.stdout.close()
        p.stderr.close()


def load(program, directory, http_port, dns_port, workers, n, first, accounts, eab=()):
    return prepared(program, directory, http_port, dns_port, workers, n, first, accounts, *eab)


def settings(http_port, dns_port):
    return [f"acme.http_port={http_port}", f"acme.resolver=127.0.0.1:{dns_port}", "acme.networks=private 127.0.0.0/8",
            "acme.orders_per_minute=0", "acme.pending_authorizations=0"]


def eab(i, uses):
    made = i.json("acme", "eab", "add", "load", "--san", "dns:*.acme.example", "--uses", str(uses))
    return made["kid"], made["hmac_key"]


def pebble_rows(bench, program, http_port, dns_port):
    rows = []
    with Pebble(http_port, harness.free_port(), f"127.0.0.1:{dns_port}") as pebble:
        for workers, n in ((1, 10), *PEBBLE_ORDERS):
            with load(program, pebble.directory, http_port, dns_port, workers, n, 5000000 + workers * 10000, 1) as go:
                before = bench.cpu({"pebble": pebble.process.pid})["pebble"]
                got = go()
                spent = bench.cpu({"pebble": pebble.process.pid})["pebble"] - before
            done = got["done"] or 1
            rows.append({"name": f"pebble, {workers}", "n": n, "per_s": done / got["seconds"], "p50_ms": got["p50_us"] / 1000, "p99_ms": got["p99_us"] / 1000,
                         "pebble_cpu": spent * 1000 / done, "failed": got["refused"], "why": got["why"]})
    return rows[1:]


def order_rows(bench, http_port, dns_port, sizes, suffix="", env=None):
    program = bench.tool("bench-acme")
    with bench.Service("acme", 1, settings=settings(http_port, dns_port), **({"env": env} if env else {})).start() as i:
        binding = eab(i, 1000)
        first, rows = 0, []
        harness.wait_for("the signer", lambda: i.cli("status", code=None).returncode == 0, 20)
        for workers, n in ((8, 50), *sizes):
            with load(program, f"https://localhost:{i.enroll_port}/acme/server/directory", http_port, dns_port, workers, n, first, 1, binding) as go:
                rows.append(bench.measure(f"whole order, {workers}{suffix}", i, go))
            first += n
        rows = [r for r in rows[1:] if bench.ONLY in r["name"]]
        if rows:
            rows[-1]["pss_kb"] = bench.pss(i.pids())
    return rows


def subject(bench):
    http_port, dns_port = harness.free_port(), harness.free_port()
    rows = order_rows(bench, http_port, dns_port, ORDERS)
    # A flush as a disk with spinning parts, or a busy one, takes it.
    rows += order_rows(bench, http_port, dns_port, SLOW_ORDERS, ", flush + 2 ms", {"BENCH_FLUSH_US": "2000"})
    if bench.ONLY:
        return rows
    return rows + pebble_rows(bench, http_port=http_port, dns_port=dns_port, program=bench.tool("bench-acme"))
