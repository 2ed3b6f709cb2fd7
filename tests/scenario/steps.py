#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A role is killed at every named step of issuance, revocation, CRLs and the token's login, under enrolments and OCSP
questions: nothing is lost, given twice, or good again, no CRL number is used twice, and the service is back by itself."""
import os
import signal
import threading
import time

from crash import everything_is_there
from faults import *
from harness import LONG, main

ROUNDS = 5 if LONG else 1
BACK = 10 if SANITIZED else 5  # seconds until the next enrolment, on a machine with other work; alone it is below 1

# Frame types (ra/ra.h, ca/ca.h, crl/status.h).
CA_OK, CA_ISSUE, CA_CRL_BEGIN, CA_CRL_ENTRIES, CA_CRL_END = 16, 24, 25, 26, 27
RA_OK, RA_ENROLL, RA_OFFICER = 32, 36, 39
STATUS_ENTRIES, STATUS_CRL, STATUS_SEEN = 67, 69, 71

FROM_FRONT = (RECEIVE, to(FRONT), RA_ENROLL)
FROM_OFFICER = (RECEIVE, to(OFFICERS), RA_OFFICER)
ISSUE_SENT = (SEND, to(CA), CA_ISSUE)
ISSUE_GOT = (RECEIVE, to(RA), CA_ISSUE)
CRL_ENDS = (RECEIVE, to(RA), CA_CRL_END)

STEPS = [
    # name, what sets it off, what the shim is ordered
    ("front has the request, ra does not", "load", dict(role=FRONT, op=SEND, target=to(RA), type=RA_ENROLL)),
    ("front has asked ra", "load", dict(role=FRONT, op=SEND, target=to(RA), type=RA_ENROLL, phase=AFTER)),
    ("ra has the request", "load", dict(role=RA, op=RECEIVE, target=to(FRONT), type=RA_ENROLL, phase=AFTER)),
    ("before the intent is written", "load", dict(role=RA, arm=FROM_FRONT, op=WRITE, target=WAL)),
    ("the intent is half written", "load", dict(role=RA, arm=FROM_FRONT, op=WRITE, target=WAL, phase=AFTER, n=2)),
    ("the intent is written, not synced", "load", dict(role=RA, arm=FROM_FRONT, op=SYNC, target=WAL)),
    ("the intent is synced", "load", dict(role=RA, arm=FROM_FRONT, op=SYNC, target=WAL, phase=AFTER)),
    ("the intent is committed, ca not asked", "load", dict(role=RA, op=SEND, target=to(CA), type=CA_ISSUE)),
    ("ca is asked", "load", dict(role=RA, op=SEND, target=to(CA), type=CA_ISSUE, phase=AFTER)),
    ("ca has it, before signing", "load", dict(role=CA, op=RECEIVE, target=to(RA), type=CA_ISSUE, phase=AFTER)),
    ("ca has signed, before its answer", "load", dict(role=CA, arm=ISSUE_GOT, op=SEND, target=to(RA), same_id=True)),
    ("ca has answered", "load", dict(role=CA, arm=ISSUE_GOT, op=SEND, target=to(RA), same_id=True, phase=AFTER)),
    ("ra has the certificate", "load", dict(role=RA, arm=ISSUE_SENT, op=RECEIVE, target=to(CA), same_id=True, phase=AFTER)),
    ("the certificate is half written", "load", dict(role=RA, arm=(RECEIVE, to(CA), CA_OK), op=WRITE, target=WAL, phase=AFTER, n=3)),
    ("the certificate is committed, front not told", "load", dict(role=RA, arm=FROM_FRONT, op=SEND, target=to(FRONT), same_id=True)),
    ("front is told", "load", dict(role=RA, arm=FROM_FRONT, op=SEND, target=to(FRONT), same_id=True, phase=AFTER)),
    ("front has it, before the answer", "load", dict(role=FRONT, arm=(SEND, to(RA), RA_ENROLL), op=RECEIVE, target=to(RA), same_id=True, phase=AFTER)),
    ("va has the new entry", "load", dict(role=VA, op=RECEIVE, target=to(RA), type=STATUS_ENTRIES, phase=AFTER)),
    ("ca counts: before the new file is synced", "ca", dict(role=CA, op=SYNC, target=COUNTER)),
    ("ca counts: before the rename", "ca", dict(role=CA, op=RENAME, target=COUNTER)),
    ("ca counts: after the rename", "ca", dict(role=CA, op=RENAME, target=COUNTER, phase=AFTER)),
    ("C_Login: before the token is cut", "ca", dict(role=CA, op=TRUNCATE, target=TOKEN)),
    ("C_Login: the token is empty", "ca", dict(role=CA, op=TRUNCATE, target=TOKEN, phase=AFTER)),
    ("C_Login: before the token is written", "ca", dict(role=CA, op=FLUSH, target=TOKEN)),
    ("C_Login: the token is written", "ca", dict(role=CA, op=FLUSH, target=TOKEN, phase=AFTER)),
    ("officers has the revocation, ra does not", "revoke", dict(role=OFFICERS, op=SEND, target=to(RA), type=RA_OFFICER)),
    ("ra has the revocation", "revoke", dict(role=RA, op=RECEIVE, target=to(OFFICERS), type=RA_OFFICER, phase=AFTER)),
    ("before the revocation is written", "revoke", dict(role=RA, arm=FROM_OFFICER, op=WRITE, target=WAL)),
    ("the revocation is written, not synced", "revoke", dict(role=RA, arm=FROM_OFFICER, op=SYNC, target=WAL)),
    ("the revocation is synced", "revoke", dict(role=RA, arm=FROM_OFFICER, op=SYNC, target=WAL, phase=AFTER)),
    ("the revocation is committed, va not told", "revoke", dict(role=RA, arm=FROM_OFFICER, op=SEND, target=to(VA), type=STATUS_ENTRIES)),
    ("va is told", "revoke", dict(role=RA, arm=FROM_OFFICER, op=SEND, target=to(VA), type=STATUS_ENTRIES, phase=AFTER)),
    ("va has the revocation", "revoke", dict(role=VA, op=RECEIVE, target=to(RA), type=STATUS_ENTRIES, phase=AFTER)),
    ("va has applied it, before it says so", "revoke", dict(role=VA, op=SEND, target=to(RA), type=STATUS_SEEN)),
    ("va has said so", "revoke", dict(role=VA, op=SEND, target=to(RA), type=STATUS_SEEN, phase=AFTER)),
    ("ra knows, officers not told", "revoke", dict(role=RA, arm=FROM_OFFICER, op=SEND, target=to(OFFICERS), same_id=True)),
    ("officers has it, before the answer", "revoke", dict(role=OFFICERS, arm=(SEND, to(RA), RA_OFFICER), op=RECEIVE, target=to(RA), same_id=True, phase=AFTER)),
    ("CRL: the number is taken, not synced", "crl", dict(role=RA, arm=FROM_OFFICER, op=SYNC, target=WAL)),
    ("CRL: the number is taken", "crl", dict(role=RA, op=SEND, target=to(CA), type=CA_CRL_BEGIN)),
    ("CRL: ca has the entries", "crl", dict(role=CA, op=RECEIVE, target=to(RA), type=CA_CRL_ENTRIES, phase=AFTER)),
    ("CRL: in the stream", "crl", dict(role=RA, op=WRITE, target=CRL_PART, phase=AFTER, n=2)),
    ("CRL: ca has its end", "crl", dict(role=CA, op=RECEIVE, target=to(RA), type=CA_CRL_END, phase=AFTER)),
    ("CRL: ca has signed it", "crl", dict(role=CA, arm=CRL_ENDS, op=SEND, target=to(RA), same_id=True)),
    ("CRL: half written", "crl", dict(role=RA, op=WRITE, target=CRL_NEW, phase=AFTER, n=2)),
    ("CRL: before the sync", "crl", dict(role=RA, op=SYNC, target=CRL_NEW)),
    ("CRL: before the rename", "crl", dict(role=RA, op=RENAME, target=CRL)),
    ("CRL: after the rename", "crl", dict(role=RA, op=RENAME, target=CRL, phase=AFTER)),
    ("CRL: the folder is synced, nothing committed", "crl", dict(role=RA, op=SYNC, target=CRL_FOLDER, phase=AFTER)),
    ("CRL: committed, va not told", "crl", dict(role=RA, op=SEND, target=to(VA), type=STATUS_CRL)),
    ("CRL: va is told", "crl", dict(role=VA, op=RECEIVE, target=to(RA), type=STATUS_CRL, phase=AFTER)),
]


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except (TypeError, ProcessLookupError):
        return False  # on its way
    return True


class Run:
    def __init__(self, i, load, asker):
        self.i, self.load, self.asker, self.slowest, self.kills, self.to_revoke = i, load, asker, (0.0, ""), 0, []

    def act(self, what):
        """Sets it off; again when the service, just killed, has refused it."""
        end = time.monotonic() + 20
        while what is not None and not self.i.killed() and self.i.words[STATE] == SET and time.monotonic() < end:
            self.act_once(what)
            if what == "ca":
                return
            time.sleep(0.1)

    def act_once(self, what):
        i = self.i
        if what == "ca":
            wait_for("ca", lambda: kill(i.roles().get("ca")), 10)
        elif what == "revoke":
            pem = self.load.held[-1]
            self.to_revoke.append(pem)
            i.cli("cert", "revoke", i.serial(pem), "--reason", "superseded", code=None)
        elif what == "crl":
            i.cli("crl", "publish", "devices", code=None)

    def one(self, name, what, order):
        i, load = self.i, self.load
        i.order(**order)
        if what == "load":
            what = None
        actor = threading.Thread(target=self.act, args=(what,))
        actor.start()
        try:
            wait_for(f"step '{name}'", i.killed, 25)
        finally:
            i.words[STATE] = 0
            began, had = time.monotonic(), len(load.held)
            actor.join()
        self.kills += 1
        wait_for(f"enrolments to go on after '{name}'", lambda: len(load.held) > had, 20)
        took = time.monotonic() - began
        if took > self.slowest[0]:
            self.slowest = (took, name)
        self.finish_revocations()

    def finish_revocations(self):
        """An officer whose answer was cut asks again; from its answer on nobody hears `good`."""
        while self.to_revoke:
            pem = self.to_revoke.pop()
            serial = self.i.serial(pem)
            wait_for("the revocation", lambda: self.i.cli("cert", "revoke", serial, "--reason", "superseded",
                                                          code=None).returncode == 0, 20)
            equal(self.i.answer(pem), "revoked")
            self.asker.revoked.append(pem)


def test_kill_at_every_step__X509_46__CRL_02__AUD_12():
    i = Shimmed("steps")
    with Load(i, 2) as load, Asker(i) as asker:
        wait_for("some load", lambda: len(load.held) > 3, 30)
        r = Run(i, load, asker)
        for _ in range(ROUNDS):
            for name, what, order in STEPS:
                r.one(name, what, order)
        wait_for("status", lambda: i.cli("status", code=None).returncode == 0, 30)
    print(f"  {len(STEPS)} steps, {r.kills} kills, {len(load.held)} certificates held, {len(asker.revoked)} revoked, "
          f"{asker.asked} OCSP questions about them; whole again after {r.slowest[0]:.1f} s at most ({r.slowest[1]})", flush=True)
    check(not load.errors, "answers that no client expects:", load.errors[:3])
    check(r.slowest[0] < BACK, "whole again after", *r.slowest)
    asker.check()
    everything_is_there(i, load.held)
    crl_numbers_rise(i)
    for pem in asker.revoked[-10:]:
        equal(i.answer(pem), "revoked")
    i.cli("crl", "publish", "devices")
    listed = run("openssl", "crl", "-inform", "DER", "-noout", "-text", input=i.http(i.va + "/crl/devices/1.crl").body,
                 text=False).stdout.decode().lower().replace(":", "")
    for pem in asker.revoked:
        check(i.serial(pem) in listed, "revoked, but not in the CRL:", i.serial(pem))
    equal(i.stop(), 0)
    no_sanitizer_spoke(i)


def test_a_token_that_was_cut_is_put_back():
    """What the kill inside C_Login costs is seen in the log: the copy is used."""
    i = Shimmed("steps-token")
    i.order(role=CA, op=TRUNCATE, target=TOKEN, phase=AFTER)
    os.kill(i.roles()["ca"], signal.SIGKILL)
    wait_for("the kill inside C_Login", i.killed, 15)
    wait_for("the copy", lambda: "put back from its copy" in i.log_text(), 15)
    wait_for("status", lambda: i.cli("status", code=None).returncode == 0, 20)
    i.enroll("after-the-cut")
    equal(i.stop(), 0)
    no_sanitizer_spoke(i)


if __name__ == "__main__":
    main(globals())
