#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the roles have given up, as the kernel tells it; and that the service works and reloads in spite of it."""
import os
import pathlib
import re
import signal
import subprocess
import time

from crash import Load
from harness import BUILD, Instance, check, equal, main

SANITIZED = any(s in subprocess.run(["ldd", str(BUILD / "caduceus-ca")], capture_output=True, text=True).stdout for s in ("asan", "tsan"))
USERS = os.geteuid() == 0 and subprocess.run(["getent", "passwd", "caduceus-ca"], capture_output=True).returncode == 0


def roles(i):
    """pid by role."""
    found = {}
    for line in subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(i.serve.pid)], capture_output=True,
                               text=True).stdout.splitlines():
        pid, args = line.split(None, 1)
        name = re.match(r"caduceus-(\w+)", args).group(1)
        found["officers" if "--officers" in args else name] = int(pid)
    return found


def status_of(path):
    return dict(line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line)


def until(what, seconds, condition):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, "not within", seconds, "s:", what)
        time.sleep(0.05)


def test_every_thread_is_confined__OPS_10(i):
    pids = roles(i)
    equal(sorted(pids), ["ca", "front", "officers", "probe", "ra", "va"])
    i.enroll("sandbox-1")
    for role, pid in pids.items():
        tasks = list(pathlib.Path(f"/proc/{pid}/task").iterdir())
        for task in tasks:
            s = status_of(task / "status")
            equal(s["NoNewPrivs"], "1", role)
            if not SANITIZED:
                equal(s["Seccomp"], "2", role)
            if USERS:
                check(s["Uid"].split()[0] != "0", role, s["Uid"])
                equal(int(s["CapEff"], 16), 0, role)
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        check(re.search(r"Max core file size\s+0\s+0", limits), role, limits)
    if USERS:
        uids = [status_of(pathlib.Path(f"/proc/{p}/status"))["Uid"].split()[0] for p in pids.values()]
        equal(len(set(uids)), 6, uids)


def test_ca_has_no_network_socket__HSM_11(i):
    links = [os.readlink(f"/proc/{roles(i)['ca']}/fd/{n}") for n in os.listdir(f"/proc/{roles(i)['ca']}/fd")]
    inodes = {m.group(1) for m in (re.match(r"socket:\[(\d+)\]", x) for x in links) if m}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        path = pathlib.Path("/proc/net") / table
        for line in path.read_text().splitlines()[1:] if path.exists() else []:
            check(line.split()[9] not in inodes, table, line)


def test_status_tells_the_layers__OPS_10(i):
    s = i.json("status")
    if SANITIZED:
        check(s["sandbox"].startswith("degraded"), s)
    elif USERS:
        equal(s["sandbox"], "full")
    else:
        check("own uid" in s["sandbox"], s)
    for role in ("ca", "ra", "va", "front", "officers", "probe"):
        check(f"sandbox_{role}" in s, s)
    # It is told again when ra or another one was restarted.
    os.kill(roles(i)["ra"], signal.SIGKILL)
    until("status after a restart of ra", 20,
          lambda: i.cli("status", "--json", code=None).returncode == 0 and "sandbox_ca" in i.json("status"))


def test_reload_takes_good_and_keeps_old__OPS_05(i):
    config = i.dir / "caduceus.yaml"
    old = config.read_text()
    fresh = config.with_suffix(".new")
    fresh.write_text(re.sub(r"(?m)^(\s*level:).*", r"\1 debug", old))
    os.rename(fresh, config)  # as editors do: another file under the same name
    i.serve.send_signal(signal.SIGHUP)
    until("reloaded", 10, lambda: "configuration reloaded" in i.log_text())
    time.sleep(0.3)
    check("configuration not reloaded" not in i.log_text(), i.log_text()[-2000:])
    i.enroll("reload-1")
    config.write_text("colour: red\n" + old)
    i.serve.send_signal(signal.SIGHUP)
    until("refused", 10, lambda: "not reloaded, the old one stays" in i.log_text())
    check("unknown key" in i.log_text() or "colour" in i.log_text(), i.log_text()[-1000:])
    i.enroll("reload-2")
    # Under load: good and bad ones in turn; no request is lost, and what needs a restart says so.
    with Load(i, 2) as load:
        for n in range(6):
            config.write_text("colour: red\n" + old if n % 2 else re.sub(r"(?m)^(\s*connections:).*", rf"\1 {500 + n}", old))
            i.serve.send_signal(signal.SIGHUP)
            time.sleep(0.4)
        before = len(load.held)
        until("enrolments to go on", 20, lambda: len(load.held) > before + 2)
    check(not load.errors, load.errors[:3])
    config.write_text(re.sub(r'(?m)^(\s*va: "127\.0\.0\.1):\d+', r"\1:1", old, count=1))
    i.serve.send_signal(signal.SIGHUP)
    until("a restart is asked for", 10, lambda: "needs a restart" in i.log_text())
    config.write_text(old)
    i.serve.send_signal(signal.SIGHUP)


if __name__ == "__main__":
    main(globals())
