#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the service and systemd say to each other, and what the packaged unit leaves open."""
import fcntl
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

from harness import BUILD, Instance, check, equal, main, run, wait_for

SOURCE = pathlib.Path(__file__).resolve().parents[2]
UNIT = SOURCE / "debian" / "caduceus.service"


class Notified:
    """An instance whose parent has a NOTIFY_SOCKET, and what came in there: (pid, text)."""

    def __init__(self, watchdog_us=None):
        self.i = Instance("notify", start=False)
        path = self.i.path("notify.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.setblocking(False)
        self.heard = []
        os.environ["NOTIFY_SOCKET"] = str(path)
        if watchdog_us:
            os.environ["WATCHDOG_USEC"] = str(watchdog_us)
        try:
            self.i.start()
        finally:
            os.environ.pop("NOTIFY_SOCKET")
            os.environ.pop("WATCHDOG_USEC", None)
        self.pid = self.i.serve.pid

    def listen(self):
        while True:
            try:
                text, ancillary, _, _ = self.socket.recvmsg(4096, 256)
            except BlockingIOError:
                return
            pid = struct.unpack("iii", ancillary[0][2][:12])[0]
            self.heard.append((pid, text.decode()))

    def lines(self):
        """Of what came since the last time; a watchdog's beats apart. All of it is the parent's (NotifyAccess=main)."""
        self.listen()
        heard, self.heard = self.heard, []
        for pid, text in heard:
            equal(pid, self.pid, "not the parent's:", text)
        return [t for _, t in heard if t != "WATCHDOG=1"], sum(t == "WATCHDOG=1" for _, t in heard)

    def wait(self, count, seconds=15.0):
        got = []

        def probe():
            got.extend(self.lines()[0])
            return len(got) >= count
        wait_for(f"{count} notifications", probe, seconds)
        return got

    def end(self):
        equal(self.i.stop(), 0)
        self.i.close()
        self.socket.close()


def mono_us():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_ready_and_stopping__OPS_09():
    n = Notified()
    equal(n.wait(1), ["READY=1"])
    check(n.i.http(n.i.va + "/readyz").status == 200, "READY before it answers")
    time.sleep(0.5)
    equal(n.lines(), ([], 0), "nobody asked for a watchdog")
    n.i.serve.send_signal(signal.SIGTERM)
    equal(n.i.serve.wait(40), 0)
    equal(n.lines()[0], ["STOPPING=1"])
    n.end()


def test_reloading__OPS_09():
    n = Notified()
    n.wait(1)
    file = n.i.dir / "caduceus.yaml"
    good = file.read_text()
    for text in (good, good + "\nno.such.key: 1\n", good):
        file.write_text(text)
        before = mono_us()
        n.i.serve.send_signal(signal.SIGHUP)
        first, second = n.wait(2)
        said = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)\n?", first)
        check(said, repr(first))
        check(before <= int(said.group(1)) <= mono_us(), "since", said.group(1), "not between", before, mono_us())
        equal(second, "READY=1", "a reload ends, with the new configuration or the old one")
    n.end()


def test_watchdog__OPS_09():
    n = Notified(watchdog_us=900_000)
    n.wait(1)
    time.sleep(3)
    beats = n.lines()[1]
    check(6 <= beats <= 20, beats, "beats in 3 s, asked for one in 0.9 s at least")
    # A parent that hangs is found by its silence.
    os.kill(n.pid, signal.SIGSTOP)
    time.sleep(0.2)
    n.lines()
    time.sleep(1.2)
    equal(n.lines(), ([], 0))
    os.kill(n.pid, signal.SIGCONT)
    wait_for("another beat", lambda: n.lines()[1] > 0)
    n.end()


def bound():
    """A loopback listener as a socket unit has it."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(16)
    return s


def test_sockets_of_a_socket_unit__OPS_09():
    """A port below 1024 is systemd's to open, so that the service needs no right to; whatever the configuration says."""
    i = Instance("activated", start=False)
    va, enroll, stray = bound(), bound(), bound()
    ports = {s: s.getsockname()[1] for s in (va, enroll)}

    def place():
        copies = [os.dup(s.fileno()) for s in (va, enroll, stray)]
        copies = [fcntl.fcntl(c, fcntl.F_DUPFD, 100) for c in copies]
        for number, copy in enumerate(copies, 3):
            os.dup2(copy, number)

    env = {**os.environ, "LISTEN_FDS": "3", "LISTEN_FDNAMES": "va:enroll:stray"}
    argv = ["sh", "-c", 'LISTEN_PID=$$ exec "$0" serve --dir "$1"', str(BUILD / "caduceus"), str(i.dir)]
    i.serve = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=open(i.log, "ab"), text=True,
                               env=env, preexec_fn=place, close_fds=False)
    equal(i.serve.stdout.readline().strip(), "ready", i.log_text())
    for port in (i.enroll_port, i.va_port):
        with socket.socket() as s:
            check(s.connect_ex(("127.0.0.1", port)) != 0, "the configured port is open too:", port)
    equal(i.http(f"http://127.0.0.1:{ports[va]}/readyz").status, 200)
    equal(i.http(f"https://localhost:{ports[enroll]}/.well-known/est/cacerts").status, 200)
    # A role that is started again gets it again.
    pids = i.roles()
    os.kill(pids["va"], signal.SIGKILL)
    wait_for("another va", lambda: i.roles().get("va") not in (None, pids["va"]))
    wait_for("its answer", lambda: i.http(f"http://127.0.0.1:{ports[va]}/readyz").status == 200)
    check("neither enroll nor va" in i.log_text() and "name=stray" in i.log_text(), i.log_text())
    # Roles have what they are given, no socket of others.
    for role, pid in i.roles().items():
        held = {os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")}
        for name, s in (("va", va), ("front", enroll), ("stray", stray)):
            inode = os.readlink(f"/proc/self/fd/{s.fileno()}")
            equal(inode in held, role == name, role, name)
    for s in (va, enroll, stray):
        s.close()
    equal(i.stop(), 0)
    i.close()


def settings():
    """The unit's [Service] keys: lists, since a key may stand more than once."""
    found = {}
    for line in UNIT.read_text().split("[Service]")[1].split("[Install]")[0].splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_unit_is_as_the_row_says__OPS_09():
    s = settings()
    for key, value in {"Type": "notify", "NotifyAccess": "main", "NoNewPrivileges": "yes", "ProtectSystem": "strict",
                       "ProtectHome": "yes", "PrivateTmp": "yes", "ProtectKernelTunables": "yes",
                       "ProtectKernelModules": "yes", "ProtectKernelLogs": "yes", "ProtectClock": "yes",
                       "RestrictNamespaces": "yes", "LockPersonality": "yes", "RestrictSUIDSGID": "yes",
                       "MemoryDenyWriteExecute": "yes", "LimitCORE": "0", "UMask": "0077",
                       "StateDirectory": "caduceus", "AmbientCapabilities": ""}.items():
        equal(s.get(key), [value], key)
    check(s["SystemCallFilter"][0].split()[0] == "@system-service", s["SystemCallFilter"])
    # Not empty: the parent gives each role a user of its own. The roles have none (sandbox.py).
    equal(s["CapabilityBoundingSet"], ["CAP_SETUID CAP_SETGID"])
    check(int(s["WatchdogSec"][0]) > 0 and int(s["TimeoutStopSec"][0]) > 30, "a drain takes up to 30 s")


def test_exposure__OPS_09():
    done = run("systemd-analyze", "security", "--offline=true", "--no-pager", UNIT, env={**os.environ, "LC_ALL": "C"})
    figure = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout + done.stderr)
    check(figure, done.stdout, done.stderr)
    print("  systemd-analyze security:", figure.group(1))
    check(float(figure.group(1)) <= 2.0, "exposure", figure.group(1), done.stdout)


def verify(text):
    with tempfile.TemporaryDirectory() as home:
        path = pathlib.Path(home) / "caduceus.service"
        path.write_text(text)
        done = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", path)
        return [line for line in (done.stdout + done.stderr).splitlines() if "caduceus.service" in line], done.returncode


def test_unit_is_understood__OPS_09():
    text = UNIT.read_text().replace("/usr/bin/caduceus", str(BUILD / "caduceus"))
    equal(verify(text), ([], 0))
    complaints, _ = verify(text.replace("WatchdogSec=", "WatchdogSeconds="))
    check(complaints, "a mistyped key was not found: this test can't fail")


def test_users_are_understood__OPS_09():
    with tempfile.TemporaryDirectory() as root:
        (pathlib.Path(root) / "etc").mkdir()
        done = run("systemd-sysusers", "--dry-run", f"--root={root}", SOURCE / "config" / "sysusers.conf")
        equal(done.returncode, 0, done.stderr)
        for role in ("ca", "ra", "va", "front", "officers", "probe"):
            check(f"Creating user 'caduceus-{role}'" in done.stderr, role, done.stderr)
        check("Creating group 'caduceus' " in done.stderr, done.stderr)


def test_folders_are_understood__OPS_09():
    if os.geteuid() != 0:
        return
    with tempfile.TemporaryDirectory() as home:
        root = pathlib.Path(home)
        rules = root / "caduceus.conf"  # its name in the package
        shutil.copy(SOURCE / "debian" / "caduceus.tmpfiles", rules)
        done = run("systemd-tmpfiles", "--create", f"--root={root}", rules)
        equal((done.returncode, done.stderr), (0, ""))
        equal((root / "var/lib/caduceus").stat().st_mode & 0o7777, 0o755)
        equal(os.readlink(root / "run/caduceus"), "/var/lib/caduceus/run")


main(globals())
