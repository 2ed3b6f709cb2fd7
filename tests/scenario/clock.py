#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The clock is stepped, both ways, by an hour, by months, by ten years, and back: nobody dies or spins, what is issued
carries sane times, what was revoked is never good, a step is said, and when the clock is right again so is all else."""
import datetime
import json
import pathlib

from crash import everything_is_there
from faults import *
from harness import main

HOUR, DAY = 3600, 86400
# Answers of another time are read, too: the test asks what is said, not whether a client with the right clock believes it.
ANY_TIME = ("-no_check_time", "-validity_period", "999999999")


def cpu(i):
    tick = os.sysconf("SC_CLK_TCK")
    out = {}
    for role, pid in i.roles().items():
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        out[role] = (int(fields[11]) + int(fields[12])) / tick
    return out


class Clock:
    def __init__(self):
        self.i = i = Shimmed("clock")
        self.held, self.k, self.pids, self.by = [], 0, i.roles(), 0
        self.password = i.device("pump", "--uses", "100000", "--valid", "366d")["password"]
        self.good, self.gone = self.enroll(), self.enroll()
        i.cli("cert", "revoke", i.serial(self.gone), "--reason", "superseded")
        self.number = 0

    def ask(self):
        self.k += 1
        name = f"pump-{self.k}"
        reply = self.i.post_csr(self.i.csr(name, subject="/CN=pump", key=self.i.key(name)), "-k", "-u", f"pump:{self.password}")
        if reply.status == 200:
            self.held.append(self.i.certificate_of(reply, name))
        return reply

    def enroll(self):
        reply = self.ask()
        equal(reply.status, 200, reply.text)
        return self.held[-1]

    def step(self, seconds):
        since = len(self.i.log_text())
        self.by = seconds
        self.i.set(CLOCK_US=seconds * 1000000)
        wait_for("the step to be said", lambda: "ALARM: the clock was stepped" in self.i.log_text()[since:], 10)
        time.sleep(1.5)
        self.nobody_spins()
        check(self.i.ocsp(self.gone, *ANY_TIME) not in ("good", "unknown"), "good again at", seconds)

    def nobody_spins(self):
        before = cpu(self.i)
        time.sleep(2)
        after = cpu(self.i)
        equal(self.i.roles(), self.pids, "a role died")
        for role, used in after.items():
            check(used - before[role] < (1.2 if SANITIZED else 0.6), role, "spins:", used - before[role], "s of CPU in 2 s, clock off by", self.by)

    def issues_sane(self):
        """notBefore at most an hour before that clock, never after it; a life as the profile says."""
        out = run("openssl", "x509", "-in", self.enroll(), "-noout", "-dates").stdout
        start, end = (datetime.datetime.strptime(line.split("=")[1], "%b %d %H:%M:%S %Y GMT") for line in out.splitlines())
        now = datetime.datetime.utcnow() + datetime.timedelta(seconds=self.by)
        check(-5 < (now - start).total_seconds() < HOUR + 60, "notBefore", start, "at", now)
        equal((end - start).total_seconds(), 90 * DAY - 1)

    def crl(self):
        body = self.i.http(self.i.va + "/crl/devices/1.crl").body
        out = run("openssl", "crl", "-inform", "DER", "-noout", "-crlnumber", "-lastupdate", input=body, text=False).stdout.decode()
        number, last = (line.split("=")[1] for line in out.splitlines())
        return int(number, 16), datetime.datetime.strptime(last, "%b %d %H:%M:%S %Y GMT")

    def crl_is_now(self):
        number, last = self.crl()
        if (last - datetime.datetime.utcnow()).total_seconds() > self.by + 60 or number < self.number:
            return False
        self.number = number
        return True

    def all_is_well(self):
        """As a client with the right clock and nothing switched off sees it."""
        i = self.i
        wait_for("TLS that is believed, and readiness", lambda: self.ready(), 30)
        equal(wait_for("OCSP", lambda: (lambda a: a if a in ("good", "revoked") else None)(believed(i, self.good)), 20), "good")
        equal(i.answer(self.gone), "revoked")
        wait_for("a CRL of now", self.crl_is_now, 20)
        i.cli("status")
        self.issues_sane()
        i.cli("audit", "verify")

    def ready(self):
        try:
            return readyz(self.i)[0] == 200
        except Failure:
            return False


def believed(i, pem):
    """An answer under a responder that is not valid yet, or of the future, is none."""
    try:
        return i.ocsp(pem)
    except Failure:
        return None


def test_clock_steps__X509_06__OCSP_10__CRL_02():
    c = Clock()
    i = c.i
    # An hour ahead, an hour behind: all works, by that clock.
    for by in (HOUR, 0, -HOUR, 0):
        c.step(by)
        c.issues_sane()
        equal(wait_for("OCSP", lambda: (lambda a: a if a in ("good", "revoked") else None)(i.ocsp(c.good, *ANY_TIME)), 15), "good")
        equal(i.ocsp(c.gone, *ANY_TIME), "revoked")
    c.all_is_well()
    # Months ahead: responders, CRLs and the listener's certificate are renewed by then's clock, and again when it is back.
    c.step(70 * DAY)
    c.issues_sane()
    equal(i.ocsp(c.gone, *ANY_TIME), "revoked")
    wait_for("a CRL of then", lambda: c.crl()[1] > datetime.datetime.utcnow() + datetime.timedelta(days=69), 20)
    wait_for("a listener's certificate of then", lambda: i.log_text().count("own TLS certificate renewed") >= 1, 20)
    wait_for("a responder of then", lambda: len(i.certificates("--ca", "devices", "--profile", "ocsp")) > 1, 20)
    c.step(0)
    c.all_is_well()
    check("a CRL carries a time that has not come" in i.log_text(), "a CRL whose time went back, and nothing was said")
    # Ten years: the authorities have expired, or were not made yet: nothing is issued, and it is said.
    for by, why in ((3650 * DAY, "expire"), (-3650 * DAY, "clock")):
        c.step(by)
        name = f"far-{abs(by)}-{by < 0}".lower()
        password = i.device(name)["password"]
        reply = i.post_csr(i.csr(name), "-k", "-u", f"{name}:{password}")
        check(reply.status >= 400 and why in reply.text, reply.status, reply.text)
        check(i.cli("status", code=None).returncode != 0, "status is content")
        c.step(0)
        c.all_is_well()
    steps = str(i.json("audit", "show")).count("clock.step")
    check(steps >= 9, steps)
    everything_is_there(i, c.held)
    crl_numbers_rise(i)
    equal(i.stop(), 0)
    no_sanitizer_spoke(i)
    print(f"  9 steps, {len(c.held)} certificates", flush=True)


def test_lock_outs_do_not_hear_the_clock():
    i = Shimmed("clock-lock")
    i.device("guessed")
    csr = i.csr("guessed")
    statuses = [i.post_csr(csr, "-u", "guessed:wrong").status for _ in range(6)]
    equal(statuses[-1], 429, statuses)
    for by in (HOUR, -HOUR, 0):
        i.set(CLOCK_US=by * 1000000)
        time.sleep(0.5)
        reply = i.post_csr(csr, "-k", "-u", "guessed:wrong")
        equal(reply.status, 429, "locked out no more, an hour", by)
        check(0 < int(reply.headers["retry-after"]) <= 900, reply.headers)
    equal(i.stop(), 0)
    no_sanitizer_spoke(i)


if __name__ == "__main__":
    main(globals())
