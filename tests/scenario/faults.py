# SPDX-License-Identifier: Apache-2.0
"""An instance whose roles run under tests/shim/disk_shim.c: the test switches faults while they run."""
import json
import mmap
import os
import pathlib
import shutil
import signal
import ssl
import struct
import subprocess
import threading
import time

from crash import Load
from harness import BUILD, Failure, Instance, check, equal, run, wait_for

SANITIZED = "asan" in subprocess.run(["ldd", str(BUILD / "caduceus-ca")], capture_output=True, text=True).stdout

# Words, operations and targets as in disk_shim.c.
(FROZEN, CLOCK_US, WRITE_ERRNO, WRITE_BUDGET, SYNC_ERRNO, SYNC_DELAY_US, STALL_US, USED_PERCENT, JOURNAL, WRITE_FAILED,
 SYNC_FAILED, ROLES, SYNCS, ONLY) = range(14)
(STATE, ROLE, ARM_OP, ARM_TARGET, ARM_TYPE, OP, TARGET, TYPE, PHASE, COUNT, SAME_ID, ARMED, ARMED_ID, KILLED_PID,
 ACT) = range(16, 31)
SET, DONE = 1, 2
CREATE, WRITE, SYNC, TRUNCATE, RENAME, UNLINK, SEND, RECEIVE, FLUSH, SNAPSHOT = range(1, 11)
BEFORE, AFTER = 0, 1
OTHER, WAL, DB, CRL_NEW, CRL_PART, CRL, CRL_FOLDER, COUNTER, TOKEN, TOKEN_COPY, TLS = range(1, 12)
CA, RA, VA, FRONT, OFFICERS = range(1, 6)


def to(role):
    """The channel whose other end is role's."""
    return 32 + role


class Shimmed(Instance):
    def __init__(self, name, settings=(), journal=False):
        self.journal_wanted = journal
        self.orders = None
        super().__init__(name, settings, start=False)
        self.shim = self.home / "disk_shim.so"
        shutil.copy(BUILD / "tests" / "libdisk_shim.so", self.shim)
        self.shim.chmod(0o755)
        self.journal_path = self.home / "journal"
        for path in (self.home / "orders", self.journal_path):
            path.write_bytes(bytes(512) if path.name == "orders" else b"")
            path.chmod(0o666)
        self.orders = open(self.home / "orders", "r+b")
        self.words = memoryview(mmap.mmap(self.orders.fileno(), 512)).cast("q")
        self.start()

    def start(self):
        preload = str(self.shim)
        if SANITIZED:
            asan = run("gcc", "-print-file-name=libasan.so").stdout.strip()
            preload = f"{asan} {preload}"
        env = {**os.environ, "LD_PRELOAD": preload, "DISK_SHIM_ORDERS": str(self.home / "orders"),
               "DISK_SHIM_DIR": str(self.dir)}
        if self.journal_wanted:
            env["DISK_SHIM_JOURNAL"] = str(self.journal_path)
        self.serve = subprocess.Popen([str(BUILD / "caduceus"), "serve", "--dir", str(self.dir)], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=open(self.log, "ab"), text=True, env=env)
        line = self.serve.stdout.readline()
        check(line.strip() == "ready", "serve did not become ready:", line, self.log_text()[-3000:])

    def set(self, **words):
        for name, value in words.items():
            self.words[globals()[name]] = value

    def get(self, word):
        return self.words[word]

    def order(self, role, op, target, type=-1, phase=BEFORE, n=1, arm=None, same_id=False, act=0):
        self.words[STATE] = 0
        arm = arm or (0, 0, 0)
        self.set(ROLE=role, ARM_OP=arm[0], ARM_TARGET=arm[1], ARM_TYPE=arm[2], OP=op, TARGET=target, TYPE=type, PHASE=phase,
                 COUNT=n, SAME_ID=int(same_id), ARMED=0, ARMED_ID=0, KILLED_PID=0, ACT=act)
        self.words[STATE] = SET

    def killed(self):
        return self.words[STATE] == DONE

    def kill_everything(self):
        """serve and its roles at once."""
        pids = list(self.roles().values())
        os.kill(self.serve.pid, signal.SIGKILL)
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.serve.wait()
        self.serve.stdout.close()
        self.serve = None
        # They are nobody's children that we could wait for.
        wait_for("the roles to be gone", lambda: not any(alive(p) for p in pids), 10)

    def answer(self, pem, seconds=15):
        """good or revoked; what is tried later is asked again."""
        return wait_for("OCSP", lambda: (lambda a: a if a in ("good", "revoked", "unknown") else None)(self.ocsp(pem)), seconds)


def serial_of(pem):
    """In hex, without asking openssl hundreds of times: the first INTEGER behind the version."""
    der = ssl.PEM_cert_to_DER_cert(pathlib.Path(pem).read_text())

    def head(at):
        n = der[at + 1]
        if n < 0x80:
            return at + 2, n
        return at + 2 + (n & 0x7f), int.from_bytes(der[at + 2:at + 2 + (n & 0x7f)], "big")
    at = head(head(0)[0])[0]
    body, n = head(at)  # [0] version
    body, n = head(body + n)
    return der[body:body + n].hex()


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def readyz(i):
    reply = i.http(f"https://localhost:{i.enroll_port}/readyz")
    return reply.status, {c["name"]: c["status"] for c in json.loads(reply.body)["checks"]}


class Asker:
    """Asks OCSP about what was revoked, and fetches the CRL: never good again, no CRL number twice."""

    def __init__(self, i, options=()):
        self.i, self.options, self.stop, self.revoked, self.wrong, self.asked, self.crls = i, options, False, [], [], 0, {}
        self.thread = threading.Thread(target=self.work)

    def work(self):
        k = 0
        while not self.stop:
            k += 1
            if self.revoked:
                pem = self.revoked[k % len(self.revoked)]
                try:
                    answer = self.i.ocsp(pem, *self.options)
                except Failure:
                    answer = "none"
                self.asked += 1
                if answer in ("good", "unknown"):
                    self.wrong.append((str(pem), answer))
            self.look_at_crl()
            time.sleep(0.1)

    def look_at_crl(self):
        try:
            reply = self.i.http(self.i.va + "/crl/devices/1.crl")
        except Failure:
            return
        if reply.status != 200:
            return
        text = run("openssl", "crl", "-inform", "DER", "-noout", "-crlnumber", input=reply.body, text=False)
        number = text.stdout.decode().strip()
        if number:
            self.crls.setdefault(number, set()).add(reply.body)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop = True
        self.thread.join()

    def check(self):
        check(not self.wrong, "good again:", self.wrong[:3])
        for number, bodies in self.crls.items():
            equal(len(bodies), 1, "one CRL number, two CRLs:", number)


def crl_numbers_rise(i):
    """What the audit says of CRLs: every number once, each above the last."""
    last = {}
    for r in i.json("audit", "show")["records"]:
        r = json.loads(r["record"]) if "record" in r else r
        if r["event"] != "crl.publish" or r["outcome"] != "success":
            continue
        key = (r["object"]["id"], r["detail"]["gen"])
        number = int(r["detail"]["number"])
        check(number > last.get(key, 0), "CRL number used again:", key, number, last)
        last[key] = number
    check(last, "no CRL in the audit")


def no_sanitizer_spoke(i):
    text = i.log_text()
    check("ERROR: AddressSanitizer" not in text and "runtime error:" not in text and "LeakSanitizer" not in text,
          "a sanitizer spoke:", text[-3000:])


__all__ = [n for n in dir() if not n.startswith("_")]
