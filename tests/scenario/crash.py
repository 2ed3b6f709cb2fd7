#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each role is killed under load: it comes back by itself, and nothing that a client holds is missing."""
import os
import random
import signal
import threading
import time

from harness import LONG, Failure, Instance, check, equal, main, run, wait_for


class Load:
    """A few devices that enrol again and again; what they were given is kept."""

    def __init__(self, i, workers=3):
        self.i, self.held, self.stop_flag, self.errors = i, [], False, []
        self.passwords = {}
        for w in range(workers):
            name = f"load-{random.randrange(10**9)}-{w}"
            self.passwords[name] = i.device(name, "--uses", "100000")["password"]
        self.threads = [threading.Thread(target=self.work, args=(n,)) for n in self.passwords]

    def work(self, name):
        k = 0
        while not self.stop_flag:
            k += 1
            try:
                csr = self.i.csr(name, key=self.i.key(f"{name}-{k}"))
                reply = self.i.post_csr(csr, "-u", f"{name}:{self.passwords[name]}")
                if reply.status == 200:
                    self.held.append(self.i.certificate_of(reply, f"{name}-{k}"))
                elif reply.status not in (429, 503):
                    self.errors.append((reply.status, reply.text))
            except Failure:
                time.sleep(0.05)  # the connection was cut: a client tries again

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop_flag = True
        for t in self.threads:
            t.join()


def works(i, name):
    try:
        return i.enroll(name)
    except Failure:
        return None


def everything_is_there(i, held):
    rows = {c["serial"] for c in i.certificates()}
    serials = [i.serial(p) for p in held]
    equal(len(set(serials)), len(serials), "a serial was given twice")
    for s in serials:
        check(s in rows, "in a client's hand, but not in the database:", s)
    text = str(i.json("audit", "show"))
    for s in serials:
        check(s in text, "in a client's hand, but not in the audit:", s)
    i.cli("audit", "verify")


def kill_rounds(i, role, rounds):
    with Load(i) as load:
        for n in range(rounds):
            before = len(load.held)
            wait_for("some load", lambda: len(load.held) > before + 1, 30)
            pid = wait_for(role, lambda: i.roles().get(role), 10)
            os.kill(pid, signal.SIGKILL)
            wait_for(f"{role} to come back", lambda: i.roles().get(role, pid) != pid, 10)
            after = len(load.held)
            wait_for("enrolments to go on", lambda: len(load.held) > after, 30)
    check(not load.errors, "answers that no client expects:", load.errors[:3])
    everything_is_there(i, load.held)
    for pem in load.held[-5:]:
        equal(wait_for("OCSP", lambda: (lambda a: a if a in ("good", "revoked") else None)(i.ocsp(pem)), 15), "good")


ROUNDS = 20 if LONG else 2


def test_kill_ca__X509_46(i):
    kill_rounds(i, "ca", ROUNDS)


def test_kill_ra__X509_46(i):
    kill_rounds(i, "ra", ROUNDS)


def test_kill_front(i):
    kill_rounds(i, "front", ROUNDS)


def test_kill_va(i):
    pem = i.enroll("va-1")
    gone = i.enroll("va-2")
    i.cli("cert", "revoke", i.serial(gone))
    for _ in range(ROUNDS):
        pid = i.roles()["va"]
        os.kill(pid, signal.SIGKILL)
        wait_for("va", lambda: i.roles().get("va", pid) != pid, 10)
        for path, status in ((pem, "good"), (gone, "revoked")):
            equal(wait_for("an answer", lambda: (lambda a: a if a in ("good", "revoked") else None)(i.ocsp(path)), 15),
                  status)
        equal(i.http(i.va + "/crl/devices/1.crl").status, 200)


def test_kill_officers(i):
    pid = i.roles()["officers"]
    os.kill(pid, signal.SIGKILL)
    wait_for("officers", lambda: i.roles().get("officers", pid) != pid, 10)
    wait_for("status", lambda: i.cli("status", code=None).returncode == 0, 15)


def test_kill_all_at_once__X509_46(i):
    with Load(i, 2) as load:
        wait_for("some load", lambda: len(load.held) > 3, 30)
        for pid in list(i.roles().values()):
            os.kill(pid, signal.SIGKILL)
        after = len(load.held)
        wait_for("enrolments to go on", lambda: len(load.held) > after + 1, 40)
    everything_is_there(i, load.held)


def test_revocation_survives_a_crash(i):
    pem = i.enroll("crash-rev")
    i.cli("cert", "revoke", i.serial(pem))
    for pid in list(i.roles().values()):
        os.kill(pid, signal.SIGKILL)
    wait_for("the service", lambda: works(i, f"crash-after-{random.randrange(10**6)}"), 40)
    equal(wait_for("OCSP", lambda: (lambda a: a if a in ("good", "revoked") else None)(i.ocsp(pem)), 15), "revoked")


if __name__ == "__main__":
    main(globals())
