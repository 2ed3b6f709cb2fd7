#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What attackers, hurried technicians and reviewers found once, so that it is found no second time."""
import base64
import json
import os
import shutil
import socket
import ssl
import threading
import time

from harness import BUILD, Instance, check, equal, main, run, wait_for


def entries(i, ca="devices"):
    """How many serials its CRL lists."""
    i.cli("crl", "publish", ca)
    out = run("openssl", "crl", "-in", i.dir / "crl" / f"{ca}-1.crl", "-inform", "DER", "-noout", "-text").stdout
    return out.count("Serial Number:")


def renew(i, name, pem, csr_der):
    return i.post_csr(csr_der, "--cert", pem, "--key", i.path(f"{name}.key"), operation="simplereenroll")


def test_one_key_for_two_devices_at_once__X509_40(i):
    key = i.key("shared")
    devices = [(n, i.device(n)["password"]) for n in ("twin-a", "twin-b", "twin-c", "twin-d")]
    csrs = {n: i.csr(n, key=key) for n, _ in devices}
    got, gate = {}, threading.Barrier(len(devices))

    def ask(name, password):
        gate.wait()
        got[name] = i.post_csr(csrs[name], "-u", f"{name}:{password}").status

    threads = [threading.Thread(target=ask, args=d) for d in devices]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    equal(sorted(got.values()), [200, 400, 400, 400], got)


def test_officers_certificates_share_no_key__X509_40(i):
    key = i.key("officer-key")
    csr = i.home / "o.csr"
    for name, code in (("one.example", 0), ("two.example", 1), ("one.example", 0)):
        csr.write_bytes(i.csr(name, key=key, san=f"DNS:{name}"))
        done = i.cli("cert", "issue", "--profile", "server", "--csr", csr, code=code)
        check(code == 0 or "key" in done.stderr, done.stderr)


def test_requests_that_ca_refuses_leave_no_serial__X509_34(i):
    before = entries(i)
    name, password = "flip-1", i.device("flip-1")["password"]
    csr = i.csr(name)
    bad = csr[:-5] + bytes([csr[-5] ^ 1]) + csr[-4:]
    statuses = [i.post_csr(bad, "-u", f"{name}:{password}").status for _ in range(8)]
    equal(statuses[:5], [400] * 5)
    check(429 in statuses, "failed tries count", statuses)
    equal(entries(i), before)
    # The proof of possession comes before a replay, too.
    name, password = "flip-2", i.device("flip-2")["password"]
    csr = i.csr(name)
    equal(i.post_csr(csr, "-u", f"{name}:{password}").status, 200)
    equal(i.post_csr(csr, "-u", f"{name}:{password}").status, 200)
    equal(i.post_csr(csr[:-5] + bytes([csr[-5] ^ 1]) + csr[-4:], "-u", f"{name}:{password}").status, 400)


def test_a_device_by_its_name_is_all_it_has(i):
    first = i.enroll("pump-all")
    kept = i.home / "first.pem"
    shutil.copy(first, kept)
    reply = renew(i, "pump-all", first, i.csr("pump-all", key=i.path("pump-all.key")))
    equal(reply.status, 200, reply.text)
    second = i.certificate_of(reply, "pump-all-2")
    done = i.cli("cert", "revoke", "pump-all")
    check("2 certificates" in done.stdout, done.stdout)
    equal(i.ocsp(kept), "revoked")
    equal(i.ocsp(second), "revoked")


def test_a_compromised_key_takes_every_certificate__X509_39(i):
    first = i.enroll("leak-1")
    kept = i.home / "leak.pem"
    shutil.copy(first, kept)
    reply = renew(i, "leak-1", first, i.csr("leak-1", key=i.path("leak-1.key")))
    second = i.certificate_of(reply, "leak-1-2")
    i.cli("cert", "revoke", i.serial(second), "--reason", "keyCompromise")
    equal(i.ocsp(kept), "revoked")
    reply = i.post_csr(i.csr("leak-1", key=i.key("fresh-key")), "--cert", kept, "--key", i.path("leak-1.key"), operation="simplereenroll")
    check(reply.status in (401, 403), reply.status, reply.text)


def test_a_device_whose_name_is_hexadecimal(i):
    victim = i.enroll("victim-1")
    name = i.serial(victim)[:6]
    mine = i.enroll(name)
    done = i.cli("cert", "revoke", name, code=1)
    check("device" in done.stderr, done.stderr)
    equal(i.ocsp(victim), "good")
    i.cli("cert", "revoke", i.serial(mine))
    equal(i.ocsp(victim), "good")


def test_mistyped_filters_are_no_empty_lists__OPS_07(i):
    for option in ("--ca", "--profile", "--device"):
        check("no" in i.cli("cert", "list", option, "nosuch", code=3).stderr)
    equal(i.cli("device", "add", "x-1", "--san", "foo", code=None).returncode, 2)
    equal(i.cli("device", "add", "bad name", code=None).returncode, 2)
    equal(run(BUILD / "caduceus", "-h").returncode, 0)
    check("is no instance" in run(BUILD / "caduceus", "status", "--dir", i.home).stderr)


def test_guessing_elsewhere_locks_nobody_out__EST_30(i):
    # From the device's own address it is slowed, and still no other device.
    a, b = i.device("lock-a")["password"], i.device("lock-b")["password"]
    for _ in range(6):
        last = i.post_csr(i.csr("lock-a"), "-u", "lock-a:wrong").status
    equal(last, 429)
    equal(i.post_csr(i.csr("lock-b"), "-u", f"lock-b:{b}").status, 200)


def talk(port, data, tls=None):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        s = tls.wrap_socket(raw, server_hostname="localhost") if tls else raw
        s.sendall(data)
        got = b""
        s.settimeout(5)
        try:
            while chunk := s.recv(65536):
                got += chunk
        except (TimeoutError, OSError):
            pass
        return got


def test_headers_that_others_read_differently(i):
    context = ssl.create_default_context(cafile=str(i.root))
    inner = b"GET /.well-known/est/csrattrs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    size = str(len(inner)).encode()
    for header in (b"Content-Length : " + size, b"Content-Length: " + size + b"\r\n X: y", b"Transfer-Encoding : chunked\r\nContent-Length: " + size,
                   b"Content-Length\x0b: " + size, b" Content-Length: " + size):
        request = b"POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pkcs10\r\n" + header + b"\r\n\r\n" + inner
        got = talk(i.enroll_port, request, context)
        check(b" 204 " not in got, "smuggled:", header, got[:300])
        got = talk(i.va_port, request.replace(b"/.well-known/est/simpleenroll", b"/ocsp").replace(b"/.well-known/est/csrattrs", b"/healthz"))
        check(got.count(b"HTTP/1.1 ") <= 1, "smuggled:", header, got[:300])


def test_every_refusal_is_audited__AUD_03(i):
    def head():
        return i.json("status")["audit_seq"]

    password = i.device("aud-1")["password"]
    csr = i.csr("aud-1")
    for what, ask, status in (
            ("unknown label", lambda: i.post_csr(csr, "-u", f"aud-1:{password}", label="nonsense"), 404),
            ("type", lambda: i.post_csr(csr, "-u", f"aud-1:{password}", content_type="text/plain"), 415),
            ("too large", lambda: i.post_csr(b"", "-u", f"aud-1:{password}", raw=b"A" * 70000), 413)):
        before = head()
        equal(ask().status, status, what)
        wait_for(f"an audit record of {what}", lambda: head() > before, 5)


def test_a_profile_that_ca_refuses_is_never_in_force(i):
    shown = i.json("profile", "show", "device")
    text = (i.dir / "profiles" / "device.yaml").read_text()
    for change, says in ((("authority: devices", "authority: root"), "root"), (("authority: devices", "authority: nosuch"), "nosuch"),
                         (("eku: [clientAuth]", "eku: [1.3.6.1.5.5.7.3.3]"), "1.3.6.1.5.5.7.3.3")):
        path = i.home / "device.yaml"
        path.write_text(text.replace(*change))
        done = i.cli("profile", "load", path, code=None)
        check(done.returncode in (1, 3) and says in done.stderr, change, done.returncode, done.stderr)
    equal(i.json("profile", "show", "device"), shown)
    equal((i.dir / "profiles" / "device.yaml").read_text(), text)
    i.enroll("still-1")


def test_the_services_own_certificates_are_replaced__OPS_19(i):
    def own():
        pem = ssl.get_server_certificate(("127.0.0.1", i.enroll_port))
        path = i.home / "own.pem"
        path.write_text(pem)
        return i.serial(path)

    before = own()
    i.cli("cert", "revoke", before, "--reason", "superseded")
    wait_for("another TLS certificate", lambda: own() != before, 20)
    responder = next(c["serial"] for c in i.certificates() if c["profile"] == "ocsp" and c["ca"] == "devices" and c["status"] == "valid")
    keys = len(i.json("hsm", "list")["keys"])
    i.cli("cert", "revoke", responder, "--reason", "superseded")
    wait_for("another responder", lambda: any(c["profile"] == "ocsp" and c["ca"] == "devices" and c["status"] == "valid"
                                              for c in i.certificates()), 20)
    equal(i.ocsp(i.enroll("own-1")), "good")
    equal(len(i.json("hsm", "list")["keys"]), keys, "the old key is gone")


def test_a_reload_says_what_needs_a_restart__OPS_05(i):
    config = i.dir / "caduceus.yaml"
    old = config.read_text()
    config.write_text(old.replace(f"127.0.0.1:{i.va_port}", f"127.0.0.1:{i.va_port + 1}"))
    i.serve.send_signal(1)
    wait_for("a word of listen.va", lambda: "needs a restart" in i.log_text() and "listen.va" in i.log_text(), 10)
    config.write_text(old)
    i.serve.send_signal(1)


def test_the_organization_may_change__EST_05():
    i = Instance("findings-org")
    pem = i.enroll("org-1")
    config = i.dir / "caduceus.yaml"
    config.write_text(config.read_text().replace("St. Hedwig", "St. Hedwig Neu"))
    i.stop()
    i.start()
    reply = renew(i, "org-1", pem, i.csr("org-1"))
    equal(reply.status, 200, reply.text)
    fresh = i.certificate_of(reply, "org-1")
    check("St. Hedwig Neu" in run("openssl", "x509", "-in", fresh, "-noout", "-subject").stdout)
    reply = renew(i, "org-1", fresh, i.csr("other"))
    check(reply.status == 400, reply.status, reply.text)


def test_a_token_that_is_away_is_not_hammered__HSM_10():
    i = Instance("findings-hsm")
    before = i.json("ca", "show", "devices")["crl_number"]
    seq = i.json("status")["audit_seq"]
    os.rename(i.dir / "token", i.dir / "ca" / "away")
    i.cli("crl", "publish", "devices", code=None)
    time.sleep(3)
    check(i.json("ca", "show", "devices")["crl_number"] < before + 8, i.json("ca", "show", "devices"))
    now = json.loads(i.cli("status", "--json", code=1).stdout)
    check(now["audit_seq"] < seq + 12, now)
    os.rename(i.dir / "ca" / "away", i.dir / "token")
    wait_for("a CRL again", lambda: i.cli("crl", "publish", "devices", code=None).returncode == 0, 70)
    i.enroll("back-1")


if __name__ == "__main__":
    main(globals())
