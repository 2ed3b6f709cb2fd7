#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Disks that are full, read-only, slow, or fail: nothing is issued that is not recorded, whoever asks is told, OCSP goes
on, and when the disk is back so is the service, by itself."""
import errno
import json
import time

from crash import everything_is_there
from faults import *
from harness import main

ALARM = "ALARM: the database or the audit can't be written"
AGAIN = "the database can be written again"


class Scene:
    """One instance with a good and a revoked certificate, and devices with passwords for many tries."""

    def __init__(self, name):
        self.i = i = Shimmed(name)
        self.held, self.k = [], 0
        self.password = i.device("pump", "--uses", "100000")["password"]
        self.good, self.gone = self.enroll(), self.enroll()
        i.cli("cert", "revoke", i.serial(self.gone))
        equal((i.answer(self.good), i.answer(self.gone)), ("good", "revoked"))
        self.pids = i.roles()

    def ask(self):
        self.k += 1
        name = f"pump-{self.k}"
        began = time.monotonic()
        reply = self.i.post_csr(self.i.csr(name, subject="/CN=pump", key=self.i.key(name)), "-u", f"pump:{self.password}")
        self.took = time.monotonic() - began
        if reply.status == 200:
            self.held.append(self.i.certificate_of(reply, name))
        return reply

    def enroll(self):
        reply = self.ask()
        equal(reply.status, 200, reply.text)
        return self.held[-1]

    def refused(self, times=1):
        for _ in range(times):
            reply = self.ask()
            equal(reply.status, 503, reply.text)
            check(int(reply.headers["retry-after"]) > 0, reply.headers)

    def ocsp_goes_on(self):
        equal((self.i.answer(self.good, 3), self.i.answer(self.gone, 3)), ("good", "revoked"))
        equal(self.i.http(self.i.va + "/crl/devices/1.crl").status, 200)

    def said(self, text, times, since=0):
        equal(self.i.log_text()[since:].count(text), times, text, self.i.log_text()[since:][-2500:])

    def is_back(self, seconds):
        """By itself: enrolments, readiness, status; and the same processes as before."""
        began = time.monotonic()
        wait_for("an enrolment", lambda: self.ask().status == 200, seconds)
        took = time.monotonic() - began
        wait_for("readiness", lambda: readyz(self.i)[0] == 200, 10)
        self.i.cli("status")
        equal(self.i.roles(), self.pids, "a role died")
        return took

    def finish(self):
        everything_is_there(self.i, self.held)
        rows = [c for c in self.i.certificates("--device", "pump")]
        equal(len(rows), len(self.held), "issued, but in nobody's hand")
        equal(self.i.answer(self.gone), "revoked")
        equal(self.i.stop(), 0)
        no_sanitizer_spoke(self.i)


def cannot_be_written(s, seconds=8, **words):
    """The whole of it for one kind of failing writes."""
    i, since = s.i, len(s.i.log_text())
    i.set(**words)
    s.refused(10)
    s.ocsp_goes_on()
    status, checks = readyz(i)
    equal(status, 503, checks)
    check(checks["database"] != "ok", checks)
    done = i.cli("status", code=None)
    check(done.returncode != 0 and "database" in done.stdout, done.stdout, done.stderr)
    # A revocation is refused, plainly, and is not half there.
    done = i.cli("cert", "revoke", i.serial(s.good), code=None)
    check(done.returncode != 0 and "can't be written" in done.stderr, done.returncode, done.stdout, done.stderr)
    equal(i.answer(s.good), "good")
    done = i.cli("device", "add", "late", code=None)
    check(done.returncode != 0, done.stdout)
    s.refused(10)
    s.said(ALARM, 1, since)
    s.said("request failed", 0, since)
    i.set(WRITE_ERRNO=0, SYNC_ERRNO=0)
    took = s.is_back(seconds)
    s.said(AGAIN, 1, since)
    return took


def test_full_disk__AUD_12__OPS_17():
    s = Scene("disk-full")
    took = cannot_be_written(s, WRITE_BUDGET=0, WRITE_ERRNO=errno.ENOSPC)
    check(s.i.get(WRITE_FAILED) > 0, "no write has failed")
    # In the middle of whatever is written.
    rooms = [0, 100, 5000, 9000, 20000, 60000]
    for room in rooms:
        s.i.set(WRITE_BUDGET=room, WRITE_ERRNO=errno.ENOSPC)
        wait_for("the disk to be full", lambda: s.ask().status == 503, 20)
        s.ocsp_goes_on()
        s.i.set(WRITE_ERRNO=0)
        took = max(took, s.is_back(8))
    print(f"  full {1 + len(rooms)} times; back after {took:.1f} s at most", flush=True)
    # What is said is that it works again: a revocation, a CRL.
    s.i.cli("cert", "revoke", s.i.serial(s.good))
    equal(s.i.answer(s.good), "revoked")
    s.i.cli("crl", "publish")
    crl_numbers_rise(s.i)
    s.finish()


def test_read_only_disk__AUD_12():
    s = Scene("disk-ro")
    took = cannot_be_written(s, WRITE_BUDGET=0, WRITE_ERRNO=errno.EROFS)
    print(f"  back after {took:.1f} s", flush=True)
    s.finish()


def test_a_sync_that_fails_is_no_commit__AUD_12():
    s = Scene("disk-eio")
    took = cannot_be_written(s, SYNC_ERRNO=errno.EIO)
    check(s.i.get(SYNC_FAILED) > 0, "no sync has failed")
    # What was refused may be found after a crash, what was confirmed is.
    s.i.cli("cert", "revoke", s.i.serial(s.good))
    s.i.set(SYNC_ERRNO=errno.EIO)
    s.refused(3)
    s.i.kill_everything()
    s.i.set(SYNC_ERRNO=0)
    s.i.start()
    equal(s.i.answer(s.good), "revoked")
    everything_is_there(s.i, s.held)
    print(f"  back after {took:.1f} s", flush=True)
    equal(s.i.stop(), 0)
    no_sanitizer_spoke(s.i)


def test_full_disk_while_crl_is_made():
    """The CRL before stays, who waits is told, and what made it due is not forgotten: it is made when there is room."""
    s = Scene("disk-crl")
    url = s.i.va + "/crl/devices/1.crl"
    before = s.i.http(url).body
    s.i.set(ONLY=CRL_NEW, WRITE_BUDGET=100, WRITE_ERRNO=errno.ENOSPC)
    done = s.i.cli("crl", "publish", "devices", code=None)
    check(done.returncode != 0, done.stdout)
    s.i.cli("cert", "revoke", s.i.serial(s.good), "--reason", "keyCompromise")
    wait_for("the alarm", lambda: s.i.log_text().count("ALARM: CRL not published") >= 2, 10)
    equal(s.i.http(url).body, before)
    equal(s.i.answer(s.good), "revoked")
    s.i.set(WRITE_ERRNO=0, ONLY=0)
    wait_for("its CRL", lambda: s.i.http(url).body != before, 15)
    listed = run("openssl", "crl", "-inform", "DER", "-noout", "-text", input=s.i.http(url).body, text=False).stdout.decode().lower()
    check(s.i.serial(s.good) in listed, "not in the CRL")
    crl_numbers_rise(s.i)
    s.finish()


def test_slow_disk():
    s = Scene("disk-slow")
    s.i.set(SYNC_DELAY_US=2000)
    slow = []
    for _ in range(10):
        s.enroll()
        slow.append(s.took)
    check(max(slow) < (5 if SANITIZED else 2), slow)
    # A stall of three seconds delays who must be recorded, and nobody else.
    s.i.set(SYNC_DELAY_US=0, STALL_US=3000000)
    began = time.monotonic()
    thread = threading.Thread(target=s.enroll)
    thread.start()
    time.sleep(0.3)
    s.ocsp_goes_on()
    asked = time.monotonic() - began
    thread.join()
    equal(s.i.get(STALL_US), 0, "nothing was synced")
    check(s.took > 2.5, "an enrolment that did not wait for its record:", s.took)
    check(asked < 2.5, "OCSP waited for the disk:", asked)
    print(f"  at 2 ms a sync an enrolment took {max(slow):.2f} s at most; through a stall of 3 s {s.took:.1f} s; OCSP went on", flush=True)
    s.finish()


def test_thresholds__AUD_12():
    s = Scene("disk-95")
    since = len(s.i.log_text())
    s.i.set(USED_PERCENT=82)
    wait_for("the alarm at 80 %", lambda: "ALARM: the disk fills" in s.i.log_text()[since:], 12)
    s.enroll()
    equal(readyz(s.i)[0], 200)
    s.i.set(USED_PERCENT=96)
    wait_for("the alarm at 95 %", lambda: "ALARM: the disk is full to 95 %" in s.i.log_text()[since:], 12)
    s.refused(10)
    status, checks = readyz(s.i)
    equal(status, 503)
    check(checks["disk"] != "ok" and checks["database"] == "ok", checks)
    check("disk" in s.i.cli("status", code=None).stdout)
    s.ocsp_goes_on()
    # Revocation still has room: that is what the last of the disk is for.
    s.i.cli("cert", "revoke", s.i.serial(s.good))
    equal(s.i.answer(s.good), "revoked")
    def records():
        """Without those of reading them."""
        return [r for r in s.i.json("audit", "show")["records"] if '"audit.export"' not in r["record"]]

    before = len(records())
    s.refused(10)
    equal(len(records()), before, "refusals fill the disk")
    s.said("ALARM: the disk", 2, since)
    s.said("request failed", 0, since)
    s.i.set(USED_PERCENT=0)
    s.is_back(10)
    s.finish()


if __name__ == "__main__":
    main(globals())
