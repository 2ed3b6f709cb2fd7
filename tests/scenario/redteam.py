#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A front, then a va, that does what an attacker's request says: it gains nothing that docs/security.md doesn't grant.

The programs are the real ones but for their protocol head (tests/redteam). A build with sanitizers has no sandbox, so
there is nothing to be tried there."""
import atexit
import base64
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import time

build = pathlib.Path(os.environ["CADUCEUS_BUILD"])
bin_dir = pathlib.Path(tempfile.mkdtemp(prefix="cad-redteam-"))
bin_dir.chmod(0o755)
atexit.register(shutil.rmtree, bin_dir, True)
for name in ("caduceus", "caduceus-ca", "caduceus-ra", "caduceus-va", "caduceus-front", "caduceus-probe"):
    shutil.copy(build / name, bin_dir / name)
for name in ("front", "va"):
    shutil.copy(build / "tests" / f"redteam-{name}", bin_dir / f"caduceus-{name}")
os.environ["CADUCEUS_BUILD"] = str(bin_dir)

from harness import Failure, Instance, check, equal, main  # noqa: E402  (after the build folder is chosen)
from sandbox import SANITIZED, USERS, roles  # noqa: E402

# Frame types of the doors (ra/ra.h, ca/ca.h).
RA_ENROLL, RA_TLS_CERT, RA_OFFICER = 36, 37, 39
CA_PROFILE_PUT, CA_AUTHORITY_CREATE, CA_ISSUE, CA_CRL_BEGIN, CA_HSM_LIST, CA_HSM_TEST = 19, 22, 24, 25, 29, 30


def text_field(s):
    return struct.pack(">I", len(s)) + s.encode()


def officer_request(verb):
    return base64.b64encode(text_field(verb) + text_field("local") + b"\0\0" + text_field("x") + b"\0\0\0\0" +
                            text_field("root") + b"\0\0\0\0").decode()


class Role:
    """One taken-over role: attack(text) gives its answer, "died" when the kernel ended it."""

    def __init__(self, i, name):
        self.i, self.name = i, name
        self.url = f"{i.est}/simpleenroll" if name == "front" else f"{i.va}/ocsp"

    def attack(self, text):
        argv = ["curl", "-sS", "--max-time", "20", "--data-binary", "attack " + text, self.url]
        if self.name == "front":
            argv[1:1] = ["--cacert", str(self.i.root)]
        for _ in range(40):
            done = subprocess.run(argv, capture_output=True, text=True)
            if done.returncode == 7:  # between two lives
                time.sleep(0.1)
                continue
            return done.stdout.strip() if done.returncode == 0 else "died"
        raise Failure(self.name, "does not come back")

    def refused(self, text):
        answer = self.attack(text)
        check(answer == "died" or answer.startswith("refused: "), self.name, text, "->", answer)
        return answer


def try_all(role):
    i, pids, d = role.i, roles(role.i), role.i.dir
    # It is really taken over: what it may do is done.
    equal(role.attack("read /etc/hostname"), "did: read")
    own = {"front": [f"{d}/tls"], "va": [f"{d}/crl"]}[role.name]
    for path in own:
        equal(role.attack(f"list {path}"), "did: listed")
    for path in ("caduceus.db", "caduceus.db-wal", "caduceus.db.lock", "hsm.pin", "softhsm2.conf", "ca/counter",
                 "ca/token.object.copy", "caduceus.yaml", "run/serve.lock", "run/hsm.lock"):
        role.refused(f"read {d}/{path}")
        role.refused(f"write {d}/{path}")
        role.refused(f"unlink {d}/{path}")
    for path in ("token", "ca", "", "profiles", "run", *(["tls"] if role.name == "va" else ["crl"])):
        role.refused(f"list {d}/{path}")
        role.refused(f"write {d}/{path}/planted")
    for token in (d / "token").glob("*/*"):
        role.refused(f"read {token}")
    if role.name == "va":
        role.refused(f"write {d}/crl/devices-1.crl")
        role.refused(f"unlink {d}/crl/devices-1.crl")
    for path in ("/etc/caduceus-planted", "/tmp/caduceus-planted", "/dev/shm/caduceus-planted", "/proc/self/mem"):
        role.refused(f"write {path}")
    role.refused("read /etc/shadow")
    role.refused(f"chmod {d}/caduceus.yaml")
    for other, pid in pids.items():
        if other == role.name:
            continue
        role.refused(f"mem {pid}")
        role.refused(f"read /proc/{pid}/environ")
        role.refused(f"kill {pid}")
    role.refused(f"kill {i.serve.pid}")
    for port in (i.va_port, i.enroll_port, 22):
        role.refused(f"connect {port}")
    role.refused("bind 0")
    role.refused("udp 53")
    role.refused(f"unix {d}/run/officer.sock")
    role.refused("code")
    role.refused("setuid 0")
    # These end it on the spot; the parent starts a new one, and the service goes on.
    for text in (f"ptrace {pids['ca']}", f"vmread {pids['ra']}", "exec", "memfd"):
        equal(role.attack(text), "died", text)
    role.refused("fork")
    i.enroll(f"after-{role.name}")


def try_front():
    i = Instance("red-front")
    role = Role(i, "front")
    try_all(role)
    # Its channel to ra is the enrolment door alone.
    for verb in ("device.list", "cert.revoke", "status", "audit.show", "profile.load"):
        answer = role.refused(f"frame 0 {RA_OFFICER} {officer_request(verb)}")
        check("denied" in answer or "bad-request" in answer or "no answer" in answer, answer)
    # PROBE_OK and its neighbours: results of validations come from probe's channel alone.
    for kind in (*range(16, 48), *range(96, 100)):
        if kind not in (34, 35, RA_ENROLL, RA_TLS_CERT):  # health and trust anchors are its own
            role.refused(f"frame 0 {kind} AAAA")
    for body in ("", "AAAA", "/////w=="):
        role.refused(f"frame 0 {RA_ENROLL} {body}")
        role.refused(f"frame 0 {RA_TLS_CERT} {body}")
    i.enroll("red-after")
    i.cli("audit", "verify")


def try_va():
    i = Instance("red-va")
    role = Role(i, "va")
    try_all(role)
    # Which of its channels leads to ca is not told: both are tried.
    for channel in (0, 1):
        for kind in (CA_PROFILE_PUT, CA_AUTHORITY_CREATE, CA_ISSUE, CA_CRL_BEGIN, CA_HSM_LIST, CA_HSM_TEST, RA_OFFICER, RA_ENROLL,
                     RA_TLS_CERT):
            for body in ("", "AAAA", officer_request("device.list")):
                role.refused(f"frame {channel} {kind} {body}")
    issued = len(i.certificates())
    i.enroll("red-after")
    equal(len(i.certificates()), issued + 1)
    i.cli("audit", "verify")


if not SANITIZED and USERS:
    def test_a_front_that_was_taken_over__OPS_10():
        try_front()

    def test_a_va_that_was_taken_over__OPS_10():
        try_va()

if __name__ == "__main__":
    main(globals())
