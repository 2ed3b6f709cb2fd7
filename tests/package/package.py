#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The Debian package, as a hospital meets it: built in one clean Debian folder, installed in another that has nothing
else, an instance made, served by the unit's own lines, a device enrolled; removed and purged, and the instance still
there. For every release that the package is made for.

usage: package.py [RELEASE...]      needs root, a Debian mirror (apt's own) and some minutes: scripts/test --long

There is no systemd at work in a folder. What it would do around the unit's lines is done here: the capabilities, groups,
umask and environment, the file system that is read-only but for the instance, the notification socket."""
import base64
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
RELEASES = ["bookworm", "trixie"]
SKIPPED = 77
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INSTANCE = "var/lib/caduceus"
USERS = ("ca", "ra", "va", "front", "officers", "probe")
# In namespaces of its own, so that mounts and processes end with it.
APART = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]


class Failure(Exception):
    pass


def check(condition, *why):
    if not condition:
        raise Failure(" ".join(str(w) for w in why))


def equal(got, wanted, *why):
    check(got == wanted, *why, f"got {got!r}, wanted {wanted!r}")


def run(*argv, code=0, **options):
    options = {"timeout": 3600, "stdin": subprocess.DEVNULL, "text": True, **options}
    if "input" in options:
        del options["stdin"]
    done = subprocess.run([str(a) for a in argv], capture_output=True, **options)
    if code is not None:
        check(done.returncode == code, shlex.join(str(a) for a in argv)[:300], f"exit {done.returncode}:",
              str(done.stdout)[-6000:], str(done.stderr)[-3000:])
    return done


def in_folder(root, script, **options):
    """A shell script in a folder, with the machine's network."""
    return run(*APART, "sh", "-ec", 'mount -t proc proc "$1/proc"; exec chroot "$1" sh -ec "$2"', "sh", root, script,
               env={"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}, **options)


def mirror():
    """Where apt gets its packages from; another one by CADUCEUS_MIRROR."""
    if os.environ.get("CADUCEUS_MIRROR"):
        return os.environ["CADUCEUS_MIRROR"]
    uris = run("apt-get", "indextargets", "--format", "$(REPO_URI)").stdout.split()
    uris = sorted({u for u in uris if "security" not in u})
    check(uris, "apt has no archive")
    return uris[0]


def make_folder(release, root):
    run(*APART, "--mount-proc", "debootstrap", "--variant=minbase", release, root, mirror())
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    # Proxies and the like.
    (root / "etc/apt/apt.conf.d/90machine").write_text(run("apt-config", "dump", "Acquire").stdout)
    # Nothing that is installed starts by itself.
    guard = root / "usr/sbin/policy-rc.d"
    guard.write_text("#!/bin/sh\nexit 101\n")
    guard.chmod(0o755)
    in_folder(root, "apt-get -qq update")


def size(path):
    return int(run("du", "-sm", path).stdout.split()[0])


def test_builds_and_its_tests_pass__OPS_12(home, release):
    """Warnings are errors in it; it runs the unit tests and the corpora."""
    root = home / "build"
    place = root / "root" / "caduceus"
    shutil.copytree(SOURCE, place, symlinks=True, ignore=lambda folder, names: [
        n for n in names if n in (".git", "__pycache__") or
        (pathlib.Path(folder) == SOURCE and (re.match(r"build|obj-|demo$", n)))])
    in_folder(root, "cd /root/caduceus; apt-get -qq -y --no-install-recommends install dpkg-dev build-essential; "
                    "apt-get -qq -y --no-install-recommends build-dep ./")
    began = time.monotonic()
    done = in_folder(root, "cd /root/caduceus; exec dpkg-buildpackage -b -us -uc 2>&1")
    print(f"  {release}: built and tested in {time.monotonic() - began:.0f} s, folder of {size(root)} MiB", flush=True)
    counts = {word: int(n) for word, n in re.findall(r"^(Ok|Fail|Timeout|Unexpected Pass):\s+(\d+)", done.stdout, re.M)}
    print(f"  {release}: {counts}", flush=True)
    check(counts.get("Ok", 0) >= 30 and not counts.get("Fail") and not counts.get("Timeout"), counts)
    check(" -Werror " in done.stdout and "warning: " not in done.stdout.lower().replace("dpkg-gencontrol: warning", ""),
          [line for line in done.stdout.splitlines() if "warning: " in line.lower()][:5])
    versions = in_folder(root, "pkgconf --modversion openssl libmicrohttpd; gcc -dumpfullversion").stdout.split()
    print(f"  {release}: OpenSSL {versions[0]}, libmicrohttpd {versions[1]}, gcc {versions[2]}", flush=True)


def test_installs_with_what_it_depends_on__OPS_12(home, release):
    debs = [p for p in (home / "build" / "root").glob("caduceus_*.deb")]
    equal(len(debs), 1, debs)
    clean = home / "clean"
    shutil.copy(debs[0], clean / "root" / debs[0].name)
    before = size(clean)
    in_folder(clean, f"apt-get -qq -y --no-install-recommends install ./root/{debs[0].name}")
    print(f"  {release}: {debs[0].name}, {debs[0].stat().st_size} bytes; {size(clean) - before} MiB with what it needs",
          flush=True)
    check(not (clean / "usr/bin/gcc").exists(), "the folder is no clean one")
    files = in_folder(clean, "dpkg -L caduceus").stdout.split()
    for wanted in ("/usr/bin/caduceus", *(f"/usr/libexec/caduceus/caduceus-{r}" for r in ("ca", "ra", "va", "front", "probe")),
                   "/usr/share/man/man1/caduceus.1.gz", "/usr/share/man/man5/caduceus.yaml.5.gz",
                   "/usr/share/bash-completion/completions/caduceus", "/usr/lib/sysusers.d/caduceus.conf",
                   "/usr/lib/tmpfiles.d/caduceus.conf", "/usr/share/doc/caduceus/caduceus.spdx.json",
                   "/usr/share/doc/caduceus/copyright"):
        check(wanted in files and (clean / wanted[1:]).is_file(), wanted, "is not installed")
    for role in USERS:
        in_folder(clean, f"getent passwd caduceus-{role} && getent group caduceus")
    equal(os.readlink(clean / "run/caduceus"), f"/{INSTANCE}/run")
    equal(list((clean / INSTANCE).iterdir()), [], "nothing is there before init")
    # Started when there is an instance (the unit's condition), stopped before its programs go, and after an upgrade the
    # roles are not left to a parent of another build.
    scripts = {n: (clean / f"var/lib/dpkg/info/caduceus.{n}").read_text() for n in ("postinst", "prerm")}
    check(re.search(r"_dh_action=restart", scripts["postinst"]) and "deb-systemd-invoke $_dh_action" in scripts["postinst"],
          scripts["postinst"])
    check("deb-systemd-invoke stop" in scripts["prerm"], scripts["prerm"])
    bill = json.loads((clean / "usr/share/doc/caduceus/caduceus.spdx.json").read_text())
    sums = {f["fileName"][2:]: f["checksums"][1]["checksumValue"] for f in bill["files"] if "/lib/" not in f["fileName"]}
    installed = [clean / "usr/bin/caduceus", *(clean / "usr/libexec/caduceus").iterdir()]
    equal(sums, {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in installed}, "bill of materials")


def test_serves_a_hospital__OPS_09(home, release):
    """The rest without any network but the loopback, where the ports of a plain `caduceus init` are free."""
    done = run(*APART, "--net", "--mount-proc", "/usr/bin/python3", __file__, "--inside", home / "clean", code=None)
    print(done.stdout, end="", flush=True)
    check(done.returncode == 0, done.stderr[-3000:])


# --- inside: the machine is the folder, its network the loopback
class Machine:
    def __init__(self, root):
        self.root, self.serve, self.notify = root, None, None
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="cad-client-"))
        run("mount", "-t", "proc", "proc", root / "proc")
        with socket.socket() as s:  # lo up: SIOCSIFFLAGS, IFF_UP | IFF_RUNNING
            fcntl.ioctl(s, 0x8914, struct.pack("16sH22x", b"lo", 0x41))
        self.unit = self.read_unit()

    def sh(self, script, code=0, **options):
        return run("chroot", self.root, "sh", "-ec", script, code=code,
                   env={"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root"}, **options)

    def json(self, command):
        return json.loads(self.sh(command + " --json").stdout)

    def healthy(self, seconds=20.0):
        """What status says when all is well; ra hears from the others a moment behind READY."""
        end = time.monotonic() + seconds
        while True:
            done = self.sh("caduceus status --json", code=None)
            if done.returncode == 0:
                return json.loads(done.stdout)
            check(time.monotonic() < end, "not healthy:", done.stdout, done.stderr, self.log())
            time.sleep(0.1)

    def read_unit(self):
        path = next(p for p in self.sh("dpkg -L caduceus").stdout.split() if p.endswith("/caduceus.service"))
        keys = {}
        for line in (self.root / path[1:]).read_text().splitlines():
            if "=" in line and not line.startswith("#"):
                key, _, value = line.partition("=")
                keys.setdefault(key, []).append(value)
        return keys

    def as_systemd(self, command):
        """argv of a command of the unit, started as systemd starts it; one with + with all rights."""
        if command.startswith("+"):
            return ["chroot", self.root, *shlex.split(command[1:])]
        equal(self.unit["NoNewPrivileges"] + self.unit["ProtectSystem"] + self.unit["PrivateTmp"],
              ["yes", "strict", "yes"])
        (writable,) = self.unit["ReadWritePaths"]
        capabilities = ",".join(f"+{c[4:].lower()}" for c in self.unit["CapabilityBoundingSet"][0].split())
        mounts = ('mount --rbind "$1" "$1"; mount --bind "$1$2" "$1$2"; mount -o remount,bind,ro "$1"; '
                  'mount -t tmpfs tmpfs "$1/tmp"; umask "$3"; shift 3; exec "$@"')
        gids = ",".join(self.sh(f"getent group {g}").stdout.split(":")[2]
                        for g in self.unit["SupplementaryGroups"][0].split())
        return ["unshare", "--mount", "sh", "-ec", mounts, "sh", self.root, writable, self.unit["UMask"][0],
                "chroot", self.root, "setpriv", f"--bounding-set=-all,{capabilities}", "--inh-caps=-all", "--no-new-privs",
                f"--groups={gids}", *shlex.split(command)]

    def heard(self, seconds=30.0):
        self.notify.settimeout(seconds)
        while True:
            try:
                text = self.notify.recv(4096).decode()
            except TimeoutError:
                raise Failure("no notification came: " + self.log()) from None
            if text != "WATCHDOG=1":
                return text

    def log(self):
        return (self.home / "log").read_text(errors="replace")[-4000:] if (self.home / "log").exists() else ""

    def start(self):
        """`systemctl start caduceus`."""
        for path in self.unit["ConditionPathExists"]:
            check((self.root / path[1:]).exists(), "the unit's condition does not hold:", path)
        for command in self.unit["ExecStartPre"]:
            run(*self.as_systemd(command))
        at = self.root / "run" / "notify"
        at.unlink(missing_ok=True)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(at))
        (command,) = self.unit["ExecStart"]
        self.serve = subprocess.Popen(
            [str(a) for a in self.as_systemd(command)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=open(self.home / "log", "ab"),
            env={"PATH": PATH, "LANG": "C.UTF-8", "NOTIFY_SOCKET": "/run/notify",
                 "WATCHDOG_USEC": str(int(self.unit["WatchdogSec"][0]) * 1000000)})
        equal(self.heard(), "READY=1", self.log())

    def reload(self):
        (command,) = self.unit["ExecReload"]
        run("chroot", self.root, "env", f"MAINPID={self.serve.pid}", "sh", "-c", "exec " + command)
        check(self.heard().startswith("RELOADING=1\nMONOTONIC_USEC="), "no reload")
        equal(self.heard(), "READY=1")

    def stop(self):
        self.serve.send_signal(signal.SIGTERM)
        equal(self.serve.wait(int(self.unit["TimeoutStopSec"][0])), 0, self.log())
        equal(self.heard(), "STOPPING=1")
        self.notify.close()

    def curl(self, url, *options, data=b""):
        """From a client beside it, who resolves the hospital's name to the loopback."""
        out = run("curl", "-sS", "--noproxy", "*", "--max-time", "30", "--connect-to", "::127.0.0.1:", "-w", "\n%{http_code}",
                  "--cacert", self.root / INSTANCE / "trust/root.pem", *options, url, input=data, text=False).stdout
        body, _, status = out.rpartition(b"\n")
        return int(status), body

    def enroll(self, name):
        """Path of the certificate that a new device got over EST."""
        device = self.json(f"caduceus device add {name}")
        key, pem = self.home / f"{name}.key", self.home / f"{name}.pem"
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        csr = run("openssl", "req", "-new", "-key", key, "-subj", f"/CN={name}", "-outform", "DER", text=False).stdout
        status, body = self.curl(device["est_url"].rstrip("/") + "/simpleenroll", "-u", f"{name}:{device['password']}", "-H",
                                 "Content-Type: application/pkcs10", "--data-binary", "@-", data=base64.b64encode(csr))
        equal(status, 200, body, self.log())
        chain = run("openssl", "pkcs7", "-inform", "DER", "-print_certs", input=base64.b64decode(body), text=False).stdout
        pem.write_bytes(run("openssl", "x509", input=chain, text=False).stdout)
        trust = self.root / INSTANCE / "trust"
        run("openssl", "verify", "-x509_strict", "-CAfile", trust / "root.pem", "-untrusted", trust / "devices.pem", pem)
        return pem

    def ocsp(self, pem):
        trust = self.root / INSTANCE / "trust"
        done = run("openssl", "ocsp", "-issuer", trust / "devices.pem", "-CAfile", trust / "root.pem", "-cert", pem, "-url",
                   "http://127.0.0.1:8080/ocsp", "-timeout", "10")
        check("Response verify OK" in done.stdout + done.stderr, done.stdout, done.stderr)
        return re.search(r": (good|revoked|unknown)", done.stdout).group(1)

    def snapshot(self):
        """Everything of the instance: what it is, whose, and what is in it."""
        found = {}
        for path in sorted((self.root / INSTANCE).rglob("*")):
            s = path.lstat()
            found[str(path)] = (s.st_mode, s.st_uid, s.st_gid,
                                hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(s.st_mode) else None)
        return found


def unchanged(before, after, what):
    different = [p for p in sorted(before | after) if before.get(p) != after.get(p)]
    check(not different, what, "changed the instance:", different)


def inside_init(m):
    refused = m.sh("caduceus status", code=None)
    equal(refused.returncode, 5, "before init:", refused.stderr)
    began = time.monotonic()
    m.sh("caduceus init --organization 'St. Hedwig'")
    print(f"  init {time.monotonic() - began:.1f} s", flush=True)


def inside_serve(m):
    began = time.monotonic()
    m.start()
    print(f"  ready in {time.monotonic() - began:.1f} s", flush=True)
    says = m.healthy()
    equal(says["sandbox"], "full", says)
    uids = set()
    for path in pathlib.Path("/proc").glob("[0-9]*/status"):
        text = path.read_text()
        if re.search(r"^Name:\s+caduceus-", text, re.M):
            uids.add(re.search(r"^Uid:\s+(\d+)", text, re.M).group(1))
            equal(int(re.search(r"^CapEff:\s+(\w+)", text, re.M).group(1), 16), 0, "a role has capabilities:", text)
    equal(len(uids), len(USERS), "a user for each role:", uids)
    parent = pathlib.Path(f"/proc/{m.serve.pid}/status").read_text()
    equal(int(re.search(r"^CapBnd:\s+(\w+)", parent, re.M).group(1), 16), 1 << 6 | 1 << 7, "the parent's bounding set")


def inside_enrol(m):
    pem = m.enroll("pump-1")
    equal(m.ocsp(pem), "good")
    m.reload()
    m.enroll("pump-2")
    # A person of the group acts as an officer without being root; others don't.
    m.sh("useradd --create-home --groups caduceus hedwig; useradd --create-home nobody2")
    m.sh("setpriv --reuid=hedwig --regid=hedwig --init-groups caduceus cert revoke pump-1 --reason keyCompromise")
    equal(m.ocsp(pem), "revoked")
    stranger = m.sh("setpriv --reuid=nobody2 --regid=nobody2 --init-groups caduceus device list", code=None)
    check(stranger.returncode in (4, 5), "a stranger is no officer:", stranger.returncode, stranger.stdout, stranger.stderr)
    m.sh("caduceus audit verify")


def inside_remove_and_purge_leave_the_instance(m):
    m.stop()
    before = m.snapshot()
    check(len(before) > 30 and any(p.endswith("caduceus.db") for p in before), sorted(before))
    m.sh("apt-get -qq -y remove caduceus")
    check(not (m.root / "usr/bin/caduceus").exists(), "not removed")
    unchanged(before, m.snapshot(), "remove")
    m.sh("dpkg --purge caduceus")
    unchanged(before, m.snapshot(), "purge")
    equal(m.sh("dpkg -l caduceus | grep -c '^.[^n]  *caduceus'", code=None).stdout.strip(), "0", "not purged")


def inside_installed_again_it_goes_on(m):
    m.sh("dpkg -i /root/caduceus_*.deb")
    m.unit = m.read_unit()
    m.start()
    equal(m.healthy()["sandbox"], "full")
    known = {(c["device"], c["status"]) for c in m.json("caduceus cert list --profile device")["certificates"]}
    equal(known, {("pump-1", "revoked"), ("pump-2", "valid")})
    equal(m.ocsp(m.home / "pump-1.pem"), "revoked")
    m.enroll("pump-3")
    m.sh("caduceus audit verify")
    m.stop()


def report(tests, *arguments):
    """What comes later needs what came before."""
    for n, (name, test) in enumerate(tests):
        began = time.monotonic()
        try:
            test(*arguments)
            print(f"ok {name} ({time.monotonic() - began:.1f} s)", flush=True)
        except (Failure, subprocess.TimeoutExpired, OSError, ValueError, KeyError) as e:
            print(f"FAIL {name}: {type(e).__name__}: {e}", flush=True)
            return n, len(tests) - n
    return len(tests), 0


def inside(root):
    m = Machine(root)
    try:
        passed, failed = report([(n, f) for n, f in globals().items() if n.startswith("inside_")], m)
        if failed:
            print(m.log(), file=sys.stderr)
        return 1 if failed else 0
    finally:
        if m.serve is not None and m.serve.poll() is None:
            m.serve.kill()
            m.serve.wait()
        shutil.rmtree(m.home, ignore_errors=True)


def why_not():
    if os.environ.get("CADUCEUS_TEST_LONG") != "1":
        return "takes minutes: scripts/test --long"
    if os.geteuid() != 0:
        return "needs root"
    if not shutil.which("debootstrap"):
        return "needs debootstrap"
    if subprocess.run([*APART, "--net", "true"], capture_output=True).returncode != 0:
        return "needs namespaces"
    if not re.search(r"^ID=debian$", pathlib.Path("/etc/os-release").read_text(), re.M) and "CADUCEUS_MIRROR" not in os.environ:
        return "needs a Debian mirror: CADUCEUS_MIRROR"
    return None


def main():
    if sys.argv[1:2] == ["--inside"]:
        return inside(pathlib.Path(sys.argv[2]))
    reason = why_not()
    if reason:
        print("skipped:", reason)
        return SKIPPED
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what stands below is removed
    passed = failed = 0
    tests = [(n, f) for n, f in globals().items() if n.startswith("test_")]
    for release in sys.argv[1:] or RELEASES:
        home = pathlib.Path(tempfile.mkdtemp(prefix=f"cad-package-{release}-"))
        home.chmod(0o755)
        try:
            began = time.monotonic()
            make_folder(release, home / "build")
            run("cp", "-a", home / "build", home / "clean")
            print(f"{release}: folder in {time.monotonic() - began:.0f} s, {size(home / 'clean')} MiB", flush=True)
            ok, bad = report(tests, home, release)
        except Failure as e:
            print(f"FAIL {release}: {e}", flush=True)
            ok, bad = 0, len(tests)
        finally:
            if os.environ.get("CADUCEUS_TEST_KEEP") != "1":
                shutil.rmtree(home, ignore_errors=True)
        passed, failed = passed + ok, failed + bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
