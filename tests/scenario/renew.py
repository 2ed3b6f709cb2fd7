#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What renews itself: OCSP responders, the enrolment listener's own certificate, CRLs; and CRL files under kills."""
import os
import re
import signal
import socket
import sqlite3
import ssl
import threading
import time

from harness import Failure, Instance, check, equal, main, run, wait_for


def test_responder_is_renewed_without_a_gap__OCSP_16():
    i = Instance("renew-o", start=False)
    # Let it age: as if 20 of its 30 days had passed.
    db = sqlite3.connect(i.dir / "caduceus.db")
    db.execute("update generation set responder_not_before = responder_not_before - 21 * 86400000000,"
               " responder_not_after = responder_not_after - 21 * 86400000000 where responder_key is not null")
    db.commit()
    before = db.execute("select responder_not_after from generation where name = 'devices'").fetchone()[0]
    db.close()
    i.start()
    pem = i.enroll("aging-1")
    for _ in range(10):
        equal(i.ocsp(pem), "good")
    wait_for("a new responder", lambda: "responder_not_after" in i.json("ca", "show", "devices") and
             i.json("ca", "show", "devices")["responder_not_after"] > time.strftime(
                 "%Y-%m-%dT%H:%M:%SZ", time.gmtime(before / 1e6 + 86400)))
    equal(i.ocsp(pem), "good", "under the new responder")
    text = " ".join(r["record"] for r in i.json("audit", "show")["records"])
    check("ocsp.responder" in text)
    i.stop()


def serial_of_listener(i):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(i.root)
    with socket.create_connection(("127.0.0.1", i.enroll_port), timeout=10) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            return tls.getpeercert()["serialNumber"]


def test_own_certificate_is_renewed_hot__OPS_19():
    i = Instance("renew-t", start=False)
    profile = i.dir / "profiles" / "server.yaml"
    profile.write_text(re.sub(r"(?m)^validity:.*$", "validity: 20s\nbackdate: 1s", profile.read_text()))
    (i.dir / "tls" / "enroll.pem").unlink()
    i.start()
    first = serial_of_listener(i)
    pids = i.roles()
    wait_for("another certificate", lambda: serial_of_listener(i) != first, 40)
    equal(i.roles(), pids, "nothing was restarted for it")
    rows = [c for c in i.certificates("--profile", "server")]
    check(len(rows) >= 2 and all(c["device"] == "enroll" for c in rows), "in its own lists:", rows)
    check(serial_of_listener(i).lower() in [c["serial"] for c in rows])
    i.stop()


def test_crl_is_made_by_its_interval__CRL_12():
    i = Instance("renew-c", ["crl.interval=60s", "crl.lifetime=10m"], start=False)
    db = sqlite3.connect(i.dir / "caduceus.db")
    db.execute("update generation set crl_this = crl_this - 3600000000 where name = 'devices'")
    db.commit()
    number = db.execute("select crl_number from generation where name = 'devices'").fetchone()[0]
    db.close()
    i.start()
    wait_for("a new CRL", lambda: [a for a in i.json("ca", "list")["authorities"]
                                   if a["name"] == "devices" and a["crl_number"] > number], 20)
    der = i.http(i.va + "/crl/devices.crl").body
    text = run("openssl", "crl", "-inform", "DER", "-noout", "-text", input=der, text=False).stdout.decode()
    check("X509v3 CRL Number" in text)
    i.stop()


def test_readers_never_see_half_a_crl__CRL_13():
    i = Instance("crl-kill")
    pem = i.enroll("crl-kill-1")
    i.cli("cert", "revoke", i.serial(pem))
    stop, seen, bad = threading.Event(), [], []

    def read():
        path = i.dir / "crl" / "devices-1.crl"
        while not stop.is_set():
            der = path.read_bytes()
            done = run("openssl", "crl", "-inform", "DER", "-noout", "-crlnumber", "-CAfile",
                       i.dir / "trust" / "devices.pem", input=der, text=False)
            if b"verify OK" not in done.stderr:
                bad.append(done.stderr)
            seen.append(int(done.stdout.strip().partition(b"=")[2], 16))
    reader = threading.Thread(target=read)
    reader.start()
    try:
        for n in range(6):
            i.cli("crl", "publish", "devices", code=None)
            role = ("ra", "ca")[n % 2]
            os.kill(i.roles()[role], signal.SIGKILL)
            wait_for("the service", lambda: i.cli("status", code=None).returncode == 0, 15)
    finally:
        stop.set()
        reader.join()
    check(not bad, "a reader saw:", bad[:1])
    equal(seen, sorted(seen), "numbers went back")
    done = i.json("crl", "publish", "devices")["crls"][0]
    check(int(done["number"]) > max(seen), "a number was used again")
    i.stop()


if __name__ == "__main__":
    main(globals())
