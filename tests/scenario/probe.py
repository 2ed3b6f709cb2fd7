#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The role that goes out, as a process: it comes back, takes settings, and its trouble is not the service's."""
import os
import pathlib
import re
import signal
import time

from harness import BUILD, LONG, Instance, check, equal, main, run, wait_for
from sandbox import SANITIZED, USERS


def fine(i):
    return i.cli("status", code=None).returncode == 0


def test_it_comes_back__OPS_10(i):
    for _ in range(5 if LONG else 3):
        pid = i.roles()["probe"]
        os.kill(pid, signal.SIGKILL)
        wait_for("another probe", lambda: i.roles().get("probe") not in (None, pid))
    i.enroll("probe-killed")  # nobody else has noticed
    wait_for("its layers", lambda: "sandbox_probe" in i.json("status", code=None))
    # ra goes away and comes back: the two are connected again, or the counts would not arrive.
    before = i.roles()["probe"]
    os.kill(i.roles()["ra"], signal.SIGKILL)
    wait_for("status", lambda: fine(i), 20)
    equal(i.roles()["probe"], before)
    if USERS and not SANITIZED:
        equal(i.json("status")["sandbox"], "full")


def test_it_has_nothing_of_the_instance__OPS_10(i):
    pid = i.roles()["probe"]
    for n in os.listdir(f"/proc/{pid}/fd"):
        link = os.readlink(f"/proc/{pid}/fd/{n}")
        check(str(i.dir) not in link, n, link)
    done = run("readelf", "-dW", BUILD / "caduceus-probe")
    for library in ("libsqlite3", "libpq", "libmicrohttpd", "libjansson", "libsofthsm2", "libp11-kit"):
        check(library not in done.stdout, library)


def test_settings_are_taken_without_a_restart__OPS_05__ACME_31(i):
    config = i.dir / "caduceus.yaml"
    old, pid = config.read_text(), i.roles()["probe"]
    config.write_text(re.sub(r"(?m)^(\s*networks:).*", r'\1 "private 192.0.2.0/24"', old))
    i.serve.send_signal(signal.SIGHUP)
    wait_for("reloaded", lambda: "configuration reloaded" in i.log_text())
    time.sleep(0.3)
    check("not taken" not in i.log_text(), i.log_text()[-2000:])
    equal(i.roles()["probe"], pid)
    config.write_text(re.sub(r"(?m)^(\s*networks:).*", r"\1 intranet", old))
    done = i.cli("config", "check", code=1)
    line = next(n for n, t in enumerate(config.read_text().splitlines(), 1) if "intranet" in t)
    check(f"caduceus.yaml:{line}: acme.networks: 'intranet'" in done.stdout + done.stderr, done.stdout, done.stderr)
    i.serve.send_signal(signal.SIGHUP)
    wait_for("refused", lambda: "not reloaded, the old one stays" in i.log_text())
    config.write_text(re.sub(r"(?m)^(\s*http_port:).*", r"\1 8088", old))
    i.serve.send_signal(signal.SIGHUP)
    wait_for("a restart is asked for", lambda: "acme.http_port" in i.log_text())
    config.write_text(old)
    i.serve.send_signal(signal.SIGHUP)


def test_its_trouble_is_not_the_services__ACME_32():
    """Trust anchors that are not there: no name is validated, everything else is served, and it is said why."""
    i = Instance("probe-anchors", ["acme.trust_anchors=anchors.txt"])
    check("anchors.txt" in i.log_text() and "no name can be validated" in i.log_text(), i.log_text()[-2000:])
    i.enroll("without-probe")
    (i.dir / "anchors.txt").write_text(". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n")
    (i.dir / "anchors.txt").chmod(0o644)
    wait_for("probe", lambda: "probe" in i.roles() and "sandbox_probe" in i.json("status", code=None), 20)
    equal(i.stop(), 0)
    i.close()


def test_a_resolver_that_is_not_there__ACME_32():
    """Its host is nobody's: everything else is served, and it is said why."""
    i = Instance("probe-host", ["acme.resolver=nobody.invalid:53"])
    check("nobody.invalid" in i.log_text() and "can't be resolved" in i.log_text(), i.log_text()[-2000:])
    i.enroll("without-resolver")
    done = i.cli("doctor", code=1)
    check("nobody.invalid:53" in done.stdout + done.stderr, done.stdout, done.stderr)
    equal(i.stop(), 0)
    i.close()


if __name__ == "__main__":
    main(globals())
