#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Random kills of every role, any number at once, while devices enrol, officers revoke and RADIUS servers ask: nothing
is lost, given twice, or good again. A thousand kills with --long, a few otherwise."""
import os
import random
import signal
import threading
import time

from crash import Load, everything_is_there
from harness import LONG, Failure, Instance, check, equal, main, run, wait_for
from sandbox import SANITIZED

# A sanitizer sees what it is there for in fewer.
KILLS = int(os.environ.get("CADUCEUS_KILLS", ("200" if SANITIZED else "1000") if LONG else "25"))
SEED = int(os.environ.get("CADUCEUS_SEED", str(random.randrange(10**9))))


class Officer:
    """Revokes what was issued, and asks OCSP about what it has revoked: never good again."""

    def __init__(self, i, load):
        self.i, self.load, self.stop, self.revoked, self.wrong = i, load, False, [], []
        self.thread = threading.Thread(target=self.work)

    def work(self):
        rnd = random.Random(SEED)
        while not self.stop:
            if self.load.held and rnd.random() < 0.6:
                pem = rnd.choice(self.load.held[-20:])
                if pem not in self.revoked and self.i.cli("cert", "revoke", self.i.serial(pem), code=None).returncode == 0:
                    self.revoked.append(pem)
            if self.revoked:
                pem = rnd.choice(self.revoked)
                answer = self.i.ocsp(pem)
                if answer in ("good", "unknown"):
                    self.wrong.append((pem, answer))
            time.sleep(0.05)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop = True
        self.thread.join()


def test_random_kills__X509_46__AUD_12():
    i = Instance("campaign")
    rnd, killed, slowest = random.Random(SEED), {}, 0.0
    print(f"  seed {SEED}", flush=True)
    with Load(i, 3) as load, Officer(i, load) as officer:
        wait_for("some load", lambda: len(load.held) > 3, 30)
        while sum(killed.values()) < KILLS:
            for _ in range(20):
                for role in rnd.sample(["ca", "ra", "va", "front", "officers", "probe"], rnd.choice([1, 1, 1, 2, 6])):
                    pid = i.roles().get(role)
                    if pid is None:
                        continue
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        continue
                    killed[role] = killed.get(role, 0) + 1
                time.sleep(rnd.random() * 0.3)
            # Left alone, it is whole again within two seconds: an enrolment goes through.
            began, had = time.monotonic(), len(load.held)
            wait_for("enrolments to go on", lambda: len(load.held) > had, 20)
            slowest = max(slowest, time.monotonic() - began)
        wait_for("status", lambda: i.cli("status", code=None).returncode == 0, 30)
    print(f"  {sum(killed.values())} kills {killed}, {len(load.held)} certificates held, {len(officer.revoked)} revoked; "
          f"whole again after {slowest:.1f} s at most", flush=True)
    check(not officer.wrong, "good again:", officer.wrong[:3])
    check(not load.errors, "answers that no client expects:", load.errors[:3])
    check(slowest < 5, "whole again after", slowest)
    everything_is_there(i, load.held)
    for pem in officer.revoked[-30:]:
        equal(i.ocsp(pem), "revoked")
    for c in i.certificates():
        if c["serial"] in {i.serial(p) for p in officer.revoked[:10]}:
            equal(c["status"], "revoked")


if __name__ == "__main__":
    main(globals())
