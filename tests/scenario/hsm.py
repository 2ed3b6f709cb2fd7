#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The service with an HSM behind a PKCS#11 module of its own (SoftHSM behind tests/shim/p11_shim.c) that goes away,
hangs, refuses the PIN, and comes back."""
import os
import pathlib
import re
import secrets
import shutil
import time

from harness import BUILD, Instance, check, equal, main, run, wait_for
from sandbox import SANITIZED, USERS

HANG = 600000  # ms: until the process ends


class Hsm:
    """A token in a folder of its own, and the rules of what goes wrong with it."""

    def __init__(self, name, *settings, sessions=4):
        self.i = Instance.__new__(Instance)
        self.dir = None
        Instance.__init__(self.i, name, settings=self.prepare(name, settings, sessions), start=False)
        self.i.start()

    def prepare(self, name, settings, sessions):
        import tempfile
        import atexit
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"cad-hsm-{name}-"))
        atexit.register(shutil.rmtree, self.dir, ignore_errors=True)
        (self.dir / "tokens").mkdir()
        conf = self.dir / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {self.dir}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
        self.pin = secrets.token_hex(8)
        os.environ["SOFTHSM2_CONF"] = str(conf)
        os.environ["P11_SHIM_DIR"] = str(self.dir)
        done = run("softhsm2-util", "--init-token", "--free", "--label", "hospital", "--pin", self.pin, "--so-pin", secrets.token_hex(8))
        check(done.returncode == 0, done.stdout, done.stderr)
        self.pin_file = self.dir / "pin"
        self.write_pin(self.pin)
        if USERS:
            shutil.chown(self.dir, "caduceus-ca")
            for path in self.dir.rglob("*"):
                shutil.chown(path, "caduceus-ca")
        return [f"hsm.module={BUILD}/hsm/libp11_shim.so", "hsm.token=pkcs11:token=hospital", f"hsm.pin=file:{self.pin_file}",
                f"hsm.paths={self.dir}", f"hsm.sessions={sessions}", *settings]

    def write_pin(self, pin):
        fresh = self.dir / "pin.new"
        fresh.write_text(pin + "\n")
        fresh.chmod(0o600)
        if USERS:
            shutil.chown(fresh, "caduceus-ca")
        fresh.rename(self.pin_file)

    def rules(self, *lines):
        """NAME skip times rv ms; none: all is well."""
        fresh = self.dir / "rules.new"
        fresh.write_text("".join(line + "\n" for line in lines))
        fresh.chmod(0o644)
        fresh.rename(self.dir / "rules")

    def logins(self):
        path = self.dir / "logins"
        return len(path.read_text().splitlines()) if path.exists() else 0


def away():
    """What a pulled device says to every call."""
    return [f"{call} 0 1000000 0x32 0" for call in ("sign_init", "sign", "session_info", "token_info", "open", "login", "initialize")]


def attempt(i, name, password):
    csr = i.csr(name, key=i.key(f"{name}-{secrets.token_hex(4)}"))  # a known key would get its certificate again
    began = time.monotonic()
    reply = i.post_csr(csr, "-u", f"{name}:{password}")
    return reply, time.monotonic() - began


def works_again(h, name, password):
    wait_for("an enrolment", lambda: attempt(h.i, name, password)[0].status == 200, 45)
    wait_for("status", lambda: h.i.cli("status", code=None).returncode == 0, 20)


def test_removed_and_back__HSM_10():
    h = Hsm("away")
    i = h.i
    revoked = i.enroll("away-0")
    i.cli("cert", "revoke", i.serial(revoked))
    good = i.enroll("away-1")
    equal(i.ocsp(good), "good")
    password = i.device("away-2", "--uses", "50")["password"]
    h.rules(*away())
    reply, _ = attempt(i, "away-2", password)
    equal(reply.status, 503, reply.text)
    # Now that it is known to be away, everybody is told so at once; no queue builds up behind it.
    wait_for("status says so", lambda: i.cli("status", code=None).returncode == 1, 15)
    for _ in range(5):
        reply, took = attempt(i, "away-2", password)
        equal(reply.status, 503, reply.text)
        check("Retry-After".lower() in reply.headers, reply.headers)
        check(took < 3, "a refusal took", took)
    said = i.json("status", code=1)
    check("DEVICE_REMOVED" in said["hsm"] or "can't be reached" in said["hsm"], said["hsm"])
    # What needs no signature is answered; what does says tryLater, and never something false.
    equal(i.http(i.va + "/crl/devices/1.crl").status, 200)
    check(i.ocsp(revoked) in ("revoked", "trylater"), i.ocsp(revoked))
    check(i.ocsp(good, "-nonce") in ("trylater",), i.ocsp(good, "-nonce"))
    equal(i.http(f"https://localhost:{i.enroll_port}/readyz").status, 503)
    # A revocation needs no signature either: it is durable and shows as soon as it can be signed.
    i.cli("cert", "revoke", i.serial(good), code=None)
    h.rules()
    works_again(h, "away-2", password)
    wait_for("revoked", lambda: i.ocsp(good) == "revoked", 15)
    equal(i.ocsp(revoked), "revoked")
    i.cli("audit", "verify")
    i.stop()


def test_hanging_call_is_ended__HSM_12():
    h = Hsm("hang", sessions=2)
    i = h.i
    good = i.enroll("hang-1")
    password = i.device("hang-2", "--uses", "50")["password"]
    ca = i.roles()["ca"]
    # One call hangs: the other session goes on at once, and the one that hangs is ended within its ten seconds.
    h.rules(f"sign 0 1 0 {HANG}")
    began = time.monotonic()
    reply, took = attempt(i, "hang-2", password)
    h.rules()
    wait_for("ca to be ended", lambda: i.roles().get("ca", ca) != ca, 25)
    check(8 < time.monotonic() - began < 25, time.monotonic() - began)
    check(reply.status in (200, 503), reply.status, reply.text)
    check("the HSM hangs" in i.log_text(), i.log_text()[-2000:])
    works_again(h, "hang-2", password)
    equal(i.ocsp(good), "good")
    # It hangs for good, from the first call: nobody waits for it, and status says what it is.
    h.rules(*[f"{call} 0 1000000 0 {HANG}" for call in ("sign", "session_info", "token_info", "initialize")])
    wait_for("ca is away", lambda: "hangs" in i.json("status", code=None)["signer"], 60)
    reply, took = attempt(i, "hang-2", password)
    equal(reply.status, 503)
    check(took < 3, took)
    h.rules()
    works_again(h, "hang-2", password)
    i.cli("audit", "verify")
    i.stop()


def test_hanging_at_the_start__HSM_12():
    h = Hsm("hang-start")
    i = h.i
    pem = i.enroll("hang-start-1")
    i.stop()
    # A network HSM that is away does not refuse: the first call waits. systemd waits 90 s for a service.
    h.rules(f"initialize 0 1000000 0 {HANG}")
    began = time.monotonic()
    i.start()
    check(time.monotonic() - began < 60, "ready after", time.monotonic() - began)
    check("hangs" in i.json("status", code=1)["signer"], i.json("status", code=None)["signer"])
    equal(i.http(i.va + "/crl/devices/1.crl").status, 200)
    h.rules()
    wait_for("status", lambda: i.cli("status", code=None).returncode == 0, 60)
    equal(i.ocsp(pem), "good")
    i.enroll("hang-start-2")
    i.stop()


def test_slow_token__HSM_12():
    h = Hsm("slow")
    i = h.i
    h.rules("sign 0 1000000 0 300")
    pem = i.enroll("slow-1")
    equal(i.ocsp(pem, "-nonce"), "good")
    equal(i.cli("status", code=None).returncode, 0)
    i.stop()


def test_wrong_pin_is_given_once__HSM_09():
    h = Hsm("pin")
    i = h.i
    i.enroll("pin-1")
    i.stop()
    (h.dir / "logins").unlink()
    # Both kinds: the PIN itself, and what a locked token says.
    h.write_pin("not-the-pin")
    i.start()
    wait_for("the reason", lambda: "refused the PIN" in i.json("status", code=1)["signer"], 15)
    time.sleep(3)
    equal(h.logins(), 1, "attempts with a wrong PIN")
    check("pin-refused" in i.cli("doctor", code=1).stdout or os.geteuid() != 0, i.cli("doctor", code=None).stdout)
    equal(i.http(i.va + "/crl/devices/1.crl").status, 200)
    equal(i.post_csr(i.csr("pin-1"), "-u", "pin-1:x").status // 100 in (4, 5), True)
    # A restart of the service is no person's act.
    i.stop()
    i.start()
    wait_for("the reason", lambda: "refused the PIN" in i.json("status", code=1)["signer"], 15)
    equal(h.logins(), 1, "attempts after a restart")
    # The right PIN in its file is.
    h.write_pin(h.pin)
    wait_for("status", lambda: i.cli("status", code=None).returncode == 0, 30)
    i.enroll("pin-2")
    equal(h.logins(), 2)
    i.stop()


def test_what_is_no_pin_is_not_tried__HSM_08__HSM_09():
    h = Hsm("pin-no")
    i = h.i
    i.stop()
    (h.dir / "logins").unlink()
    for content, says in ((h.pin + "x" * 300, "longer than"), (h.pin + "\0", "binary")):
        h.write_pin(content)
        i.start()
        wait_for("the reason", lambda: says in i.json("status", code=1)["signer"], 15)
        i.stop()
    if USERS:
        h.write_pin(h.pin)
        shutil.chown(h.pin_file, "root")
        i.start()
        wait_for("the reason", lambda: "chown caduceus-ca" in i.json("status", code=1)["signer"], 15)
        i.stop()
    check(not (h.dir / "logins").exists(), "attempts")
    check(not (i.dir / "ca" / "pin-refused").exists(), "a latch")


def test_wrong_pin_in_the_middle__HSM_09():
    h = Hsm("pin-mid")
    i = h.i
    password = i.device("mid-1", "--uses", "50")["password"]
    equal(attempt(i, "mid-1", password)[0].status, 200)
    before = h.logins()
    # Sessions lost, and at the new login the token says that the PIN is locked.
    h.rules("session_info 0 3 0xb3 0", "sign_init 0 50 0xb3 0", "login 0 1 0xa4 0")
    equal(attempt(i, "mid-1", password)[0].status, 503)
    wait_for("status says so", lambda: i.cli("status", code=None).returncode == 1, 15)
    h.rules()
    time.sleep(4)
    equal(h.logins(), before + 1, "attempts")
    said = i.json("status", code=1)
    check("PIN" in said["hsm"] + said["signer"], said)
    h.write_pin(h.pin)
    i.serve.send_signal(1)
    works_again(h, "mid-1", password)
    i.stop()


def test_another_key_on_the_token__HSM_03():
    h = Hsm("swap")
    i = h.i
    pem = i.enroll("swap-1")
    i.stop()
    # The token is another one: new, with the same name and PIN, without our keys.
    shutil.rmtree(h.dir / "tokens")
    (h.dir / "tokens").mkdir()
    done = run("softhsm2-util", "--init-token", "--free", "--label", "hospital", "--pin", h.pin, "--so-pin", secrets.token_hex(8))
    equal(done.returncode, 0, done.stderr)
    if USERS:
        for path in [h.dir / "tokens", *(h.dir / "tokens").rglob("*")]:
            shutil.chown(path, "caduceus-ca")
    mark = len(i.log_text())
    i.start()
    wait_for("an alarm", lambda: "refuses what it needs" in i.log_text(), 15)
    said = i.json("status", code=1)
    check("key" in said["signer"] and "token" in said["signer"], said["signer"])
    # It is looked for again every ten seconds; that is said once.
    time.sleep(12)
    log = i.log_text()[mark:]
    equal(log.count("ALARM: the signer refuses"), len(set(re.findall(r'refuses what it needs to work" why="([^"]*)', log))), log)
    check("signer ready" not in log, log)
    check(i.ocsp(pem) in ("trylater", "good"), i.ocsp(pem))
    i.stop()


def test_a_flipped_bit__HSM_06():
    h = Hsm("flip")
    i = h.i
    password = i.device("flip-1", "--uses", "50")["password"]
    h.rules("flip 0 1 0 0")
    reply, _ = attempt(i, "flip-1", password)
    check(reply.status in (200, 503), reply.status, reply.text)
    wait_for("the alarm", lambda: "does not hold" in i.log_text(), 15)
    equal(len([c for c in i.certificates() if c["device"] == "flip-1"]), 1 if reply.status == 200 else 0)
    i.stop()


def test_a_responder_whose_signature_did_not_hold__HSM_06():
    h = Hsm("flip-ocsp")
    i = h.i
    pem = i.enroll("flip-ocsp-1")
    h.rules("flip 0 1 0 0")
    equal(i.ocsp(pem, "-nonce"), "internalerror")
    wait_for("the alarm", lambda: "does not hold" in i.log_text(), 15)
    h.rules()
    wait_for("status", lambda: "the responder of devices did not hold" in i.json("status", code=None)["hsm"], 10)
    equal(i.cli("status", code=None).returncode, 1)
    # A new ra tells ca of the same responder: its key stays where it is.
    ra = i.roles()["ra"]
    os.kill(ra, 9)
    wait_for("a new ra", lambda: i.roles().get("ra", ra) != ra and i.cli("device", "add", "flip-ocsp-2", code=None).returncode == 0, 10)
    i.enroll("flip-ocsp-3")
    equal(i.ocsp(pem, "-nonce"), "internalerror")
    # A restart is a person's act.
    i.stop()
    i.start()
    equal(i.ocsp(pem, "-nonce"), "good")
    wait_for("status", lambda: i.cli("status", code=None).returncode == 0, 10)
    i.stop()


def test_reach_is_declared__HSM_11():
    h = Hsm("reach", "hsm.ports=1792 9004")
    i = h.i
    said = i.json("status")
    equal(said["hsm_ports"], "1792 9004")
    equal(said["hsm_paths"], str(h.dir))
    check("libp11_shim" in said["hsm_module"], said)
    if not SANITIZED:
        check("network" in said["sandbox_ca"], said["sandbox_ca"])
    mistakes = i.dir / "caduceus.yaml"
    text = mistakes.read_text()
    for bad in ("70000", "22 x", "0", "1 2 3 4 5 6 7 8 9"):
        mistakes.write_text(re.sub(r"(?m)^(\s*ports:).*", rf'\1 "{bad}"', text))
        done = i.cli("config", "check", code=1)
        check("hsm.ports" in done.stdout + done.stderr, done)
    mistakes.write_text(text)
    i.stop()


if __name__ == "__main__":
    main(globals())
