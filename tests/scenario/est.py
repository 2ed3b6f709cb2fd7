#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A device gets its certificate, renews it, and is refused for every reason that there is."""
import base64
import os
import re
import socket
import ssl
import subprocess
import time

from harness import BUILD, Failure, Instance, check, equal, main, run, wait_for


def text_of(pem):
    return run("openssl", "x509", "-in", pem, "-noout", "-text").stdout


def test_cacerts_need_no_credential__EST_02__EST_03(i):
    reply = i.http(i.est + "/cacerts")
    equal(reply.status, 200)
    equal(reply.headers["content-type"], "application/pkcs7-mime; smime-type=certs-only")
    der = base64.b64decode(reply.body)
    pems = run("openssl", "pkcs7", "-inform", "DER", "-print_certs", input=der, text=False).stdout
    equal(pems.count(b"BEGIN CERTIFICATE"), 3, "root, devices, servers")


def test_enroll_with_password__EST_04__EST_30__X509_18(i):
    pem = i.enroll("pump-1", "--profile", "device")
    text = text_of(pem)
    check("TLS Web Client Authentication" in text, text)
    check("TLS Web Server Authentication" not in text, text)
    check("DNS:pump-1" in text, text)
    done = run("openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", i.root, "-untrusted",
               i.dir / "trust" / "devices.pem", pem)
    equal(done.returncode, 0, done.stderr)


def test_every_key_type__X509_04(i):
    for kind in ("p384", "ed25519", "rsa"):
        i.enroll("key-" + kind, kind=kind)


def test_lost_reply_costs_nothing__EST_26(i):
    password = i.device("lost-1")["password"]
    csr = i.csr("lost-1")
    first = i.post_csr(csr, "-u", f"lost-1:{password}")
    equal(first.status, 200, first.text)
    again = i.post_csr(csr, "-u", f"lost-1:{password}")
    equal(again.status, 200, "the same request again:", again.text)
    equal(again.body, first.body, "the same certificate")
    signed_again = i.post_csr(i.csr("lost-1"), "-u", f"lost-1:{password}")
    equal(signed_again.body, first.body, "another signature of the same request")
    equal(len(i.certificates("--device", "lost-1")), 1)


def test_used_password_is_refused__EST_30(i):
    password = i.device("used-1")["password"]
    equal(i.post_csr(i.csr("used-1"), "-u", f"used-1:{password}").status, 200)
    other = i.csr("used-1", key=i.key("used-1-b"))
    reply = i.post_csr(other, "-u", f"used-1:{password}")
    equal(reply.status, 401, reply.text)
    check("password" in reply.text, reply.text)
    check("www-authenticate" in reply.headers)


def test_password_counts_its_uses__EST_30(i):
    password = i.device("uses-1", "--uses", "2", "--san", "dns:uses-1.example")["password"]
    for n, wanted in ((1, 200), (2, 200), (3, 401)):
        reply = i.post_csr(i.csr("uses-1", key=i.key(f"uses-1-{n}")), "-u", f"uses-1:{password}")
        equal(reply.status, wanted, n, reply.text)


def test_wrong_password_looks_like_unknown_name__EST_27__EST_30(i):
    i.device("wrong-1")
    replies = [i.post_csr(i.csr("wrong-1"), "-u", f"{name}:nonsense") for name in ("wrong-1", "nobody-here")]
    for r in replies:
        equal(r.status, 401)
        equal(r.headers["www-authenticate"], 'Basic realm="est", charset="UTF-8"')
        equal(r.headers["content-type"], "text/plain; charset=utf-8")
    strip = [r.text.rsplit("request", 1)[0] for r in replies]
    equal(strip[0], strip[1], "one could tell a name from the answer")


def test_without_credential__EST_27__EST_30(i):
    reply = i.post_csr(i.csr("anon-1"))
    equal(reply.status, 401)
    check("www-authenticate" in reply.headers)


def test_names_outside_are_refused_and_named__X509_30(i):
    password = i.device("names-1", "--san", "dns:names-1.ward3.example", "--uses", "9")["password"]
    auth = ("-u", f"names-1:{password}")
    for san, name in (("DNS:gateway.example", "gateway.example"), ("IP:192.0.2.7", "192.0.2.7"),
                      ("DNS:names-1.ward3.example,DNS:*.example", "*.example")):
        reply = i.post_csr(i.csr("names-1", san=san), *auth)
        check(reply.status in (400, 403), san, reply.status)
        check(name in reply.text, "the answer does not name it:", reply.text)
    reply = i.post_csr(i.csr("names-1", subject="/CN=other-device"), *auth)
    check(reply.status in (400, 403) and "other-device" in reply.text, reply.status, reply.text)
    equal(i.post_csr(i.csr("names-1", san="DNS:names-1.ward3.example"), *auth).status, 200)


def test_wildcard_rule_allows_names_below(i):
    password = i.device("est-user", "--san", "dns:*.ward3.example", "--uses", "3")["password"]
    reply = i.post_csr(i.csr("w1", subject="/CN=a.b.ward3.example", san="DNS:a.b.ward3.example"), "-u",
                       f"est-user:{password}")
    equal(reply.status, 200, reply.text)
    reply = i.post_csr(i.csr("w2", subject="/CN=ward3.example.org", san="DNS:ward3.example.org"), "-u",
                       f"est-user:{password}")
    check(reply.status in (400, 403), reply.text)


def test_bad_requests__EST_01__EST_21__EST_27__X509_34(i):
    password = i.device("bad-1", "--uses", "9")["password"]
    auth = ("-u", f"bad-1:{password}")
    csr = i.csr("bad-1")
    flipped = bytearray(csr)
    flipped[-5] ^= 1
    for what, raw, wanted in (("junk", os.urandom(200), 400), ("bad base64", b"MIIB*!", 400), ("empty", b"", 400),
                              ("truncated", base64.b64encode(csr[:-20]), 400),
                              ("trailing octet", base64.b64encode(csr + b"\0"), 400),
                              ("flipped signature", base64.b64encode(bytes(flipped)), 400)):
        reply = i.post_csr(b"", *auth, raw=raw)
        equal(reply.status, wanted, what, reply.text)
        check(len(reply.text.strip().splitlines()) == 1 and len(reply.text) > 10, what, reply.text)
    equal(i.post_csr(b"", *auth, raw=b"A" * 70000).status, 413)
    equal(i.post_csr(csr, *auth, content_type="text/plain").status, 415)
    equal(i.http(i.est + "/simpleenroll").status, 405)
    check("POST" in i.http(i.est + "/simpleenroll").headers["allow"])
    equal(i.post_csr(csr, *auth, operation="nonsense").status, 404)
    equal(i.post_csr(csr, *auth, label="nonsense").status, 404)
    equal(i.http(i.est + "/csrattrs").status, 204)
    check("content-type" not in i.http(i.est + "/csrattrs").headers)
    equal(i.post_csr(csr, *auth, operation="serverkeygen").status, 404)
    equal(i.post_csr(csr, *auth, operation="fullcmc").status, 404)
    equal(i.post_csr(csr, *auth).status, 200, "the device is not harmed by all that")


def test_base64_forms__EST_21__EST_22__QRK_01__QRK_04(i):
    password = i.device("b64-1", "--uses", "9")["password"]
    csr = i.csr("b64-1")
    one = base64.b64encode(csr)
    for raw in (one, b"\r\n".join(one[k:k + 76] for k in range(0, len(one), 76)) + b"\r\n",
                b"\n".join(one[k:k + 64] for k in range(0, len(one), 64)),
                b"-----BEGIN CERTIFICATE REQUEST-----\n" + one + b"\n-----END CERTIFICATE REQUEST-----\n"):
        reply = i.post_csr(b"", "-u", f"b64-1:{password}", "-H", "Content-Transfer-Encoding: binary", raw=raw,
                           content_type="application/pkcs10; charset=utf-8")
        equal(reply.status, 200, reply.text)
        equal(reply.body.count(b"\n"), 1, "one line")
    wrapped = i.post_csr(csr, "-u", f"b64-1:{password}", "-A", "Cisco EST client 1.0")
    check(all(len(line) <= 64 for line in wrapped.body.splitlines()) and wrapped.body.count(b"\n") > 3)
    equal(wrapped.headers["content-transfer-encoding"], "base64")
    check("content-length" in wrapped.headers and "transfer-encoding" not in wrapped.headers)


def test_weak_keys_and_ca_requests__X509_33__X509_36(i):
    password = i.device("weak-1", "--uses", "9")["password"]
    auth = ("-u", f"weak-1:{password}")
    for what, csr, hint in (
            ("RSA 1024", i.csr("weak-1", key=i.key("weak-rsa", "rsa1024")), "2048"),
            ("SHA-1", i.csr("weak-1", key=i.key("weak-rsa2", "rsa"), extra=["-sha1"]), "SHA-1"),
            ("CA", i.csr("weak-1", extra=["-addext", "basicConstraints=critical,CA:TRUE"]), ""),
            ("keyCertSign", i.csr("weak-1", extra=["-addext", "keyUsage=keyCertSign"]), ""),
            ("serverAuth", i.csr("weak-1", extra=["-addext", "extendedKeyUsage=serverAuth"]), "")):
        reply = i.post_csr(csr, *auth)
        check(reply.status in (400, 403), what, reply.status, reply.text)
        check(hint in reply.text, what, reply.text)


def test_one_key_two_devices__X509_40(i):
    i.enroll("twin-1")
    password = i.device("twin-2")["password"]
    reply = i.post_csr(i.csr("twin-2", key=i.key("twin-1")), "-u", f"twin-2:{password}")
    check(reply.status in (400, 403), reply.status, reply.text)
    check("key" in reply.text, reply.text)


def test_closed_doors(i):
    """A device can't get a server's certificate by another label, nor one that no profile offers."""
    password = i.device("door-1", "--uses", "5")["password"]
    for label in ("server", "radius"):
        reply = i.post_csr(i.csr("door-1"), "-u", f"door-1:{password}", label=label)
        equal(reply.status, 403, label, reply.text)
    for label in ("officer", "ocsp"):
        reply = i.post_csr(i.csr("door-1"), "-u", f"door-1:{password}", label=label)
        equal(reply.status, 404, label, reply.text)


def test_reenroll__EST_05__EST_29(i):
    old = i.enroll("renew-1")
    tls = ("--cert", old, "--key", i.key("renew-1"))
    reply = i.post_csr(i.csr("renew-1", key=i.key("renew-1-new"), san="DNS:renew-1"), *tls,
                       operation="simplereenroll")
    equal(reply.status, 200, reply.text)
    new = i.certificate_of(reply, "renew-1-new")
    check(i.serial(new) != i.serial(old))
    reply = i.post_csr(i.csr("renew-1", subject="/CN=somebody-else", key=i.key("renew-1-c")), *tls,
                       operation="simplereenroll")
    check(reply.status in (400, 403), reply.text)
    reply = i.post_csr(i.csr("renew-1"), operation="simplereenroll")
    equal(reply.status, 401, "without a certificate")


def test_client_certificates_that_do_not_hold__EST_29(i):
    pem = i.enroll("cl-1")
    key = i.key("cl-1")
    run("openssl", "req", "-x509", "-key", i.key("cl-foreign"), "-subj", "/CN=cl-1", "-days", "2", "-out",
        i.path("cl-foreign.pem"))
    reply = i.post_csr(i.csr("cl-1"), "--cert", i.path("cl-foreign.pem"), "--key", i.key("cl-foreign"),
                       operation="simplereenroll")
    equal(reply.status, 403, "foreign:", reply.text)
    i.cli("cert", "revoke", i.serial(pem), "--reason", "superseded")
    reply = i.post_csr(i.csr("cl-1"), "--cert", pem, "--key", key, operation="simplereenroll")
    equal(reply.status, 403, "revoked:", reply.text)
    check("revoked" in reply.text, reply.text)


def test_server_certificate_is_no_client__EST_29(i):
    csr = i.csr("gw.example", san="DNS:gw.example")
    path = i.path("gw.der")
    path.write_bytes(csr)
    i.cli("cert", "issue", "--profile", "server", "--csr", path, "--out", i.path("gw.pem"))
    reply = i.post_csr(csr, "--cert", i.path("gw.pem"), "--key", i.key("gw.example"), operation="simplereenroll")
    equal(reply.status, 403, reply.text)


def test_disabled_device(i):
    pem = i.enroll("off-1")
    password = i.json("device", "password", "off-1")["password"]
    i.cli("device", "disable", "off-1")
    reply = i.post_csr(i.csr("off-1", key=i.key("off-1-b")), "-u", f"off-1:{password}")
    check(reply.status in (401, 403), reply.status)
    reply = i.post_csr(i.csr("off-1"), "--cert", pem, "--key", i.key("off-1"), operation="simplereenroll")
    equal(reply.status, 403, reply.text)
    i.cli("device", "enable", "off-1")
    reply = i.post_csr(i.csr("off-1"), "--cert", pem, "--key", i.key("off-1"), operation="simplereenroll")
    equal(reply.status, 200, reply.text)


def test_compromised_key_is_refused_for_ever__X509_39(i):
    pem = i.enroll("comp-1")
    i.cli("cert", "revoke", i.serial(pem), "--reason", "keyCompromise")
    password = i.json("device", "password", "comp-1")["password"]
    reply = i.post_csr(i.csr("comp-1"), "-u", f"comp-1:{password}")
    check(reply.status in (400, 403), reply.status, reply.text)
    check("key" in reply.text, reply.text)


def test_guessing_is_slowed__EST_30(i):
    i.device("guess-1")
    for _ in range(12):
        reply = i.post_csr(i.csr("guess-1"), "-u", "guess-1:nonsense")
        if reply.status == 429:
            check(int(reply.headers["retry-after"]) > 0)
            return
    raise Failure("twelve wrong passwords in a row and no 429")


def handshake(i, version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(i.root)
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", i.enroll_port), timeout=10) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            return tls.version(), tls.cipher()[0]


def test_tls_versions__EST_28(i):
    equal(handshake(i, ssl.TLSVersion.TLSv1_3)[0], "TLSv1.3")
    version, cipher = handshake(i, ssl.TLSVersion.TLSv1_2)
    equal(version, "TLSv1.2")
    check("ECDHE" in cipher and ("GCM" in cipher or "CHACHA20" in cipher or "CCM" in cipher), cipher)
    for old in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        try:
            handshake(i, old)
        except (ssl.SSLError, OSError, ValueError):
            continue
        raise Failure(f"{old} was accepted")
    done = run("openssl", "s_client", "-connect", f"localhost:{i.enroll_port}", "-CAfile", i.root,
               "-verify_return_error", "-tls1_2", "-cipher", "AES128-SHA:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0", input="")
    check("Cipher is (NONE)" in done.stdout or done.returncode != 0, "a suite without AEAD was accepted")


def test_header_and_body_in_one_piece__EST_24__QRK_02(i):
    """strongSwan takes the first TLS read as the whole header."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(i.root)
    with socket.create_connection(("127.0.0.1", i.enroll_port), timeout=10) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(b"GET /.well-known/est/cacerts HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            first = tls.read(16384)
            check(first.startswith(b"HTTP/1.1 200"), first[:40])
            head, sep, _ = first.partition(b"\r\n\r\n")
            check(sep and len(head) < 1000, "the header is not in the first record")
            check(b"Content-Length:" in head and b"Content-Type:" in head, head)


def test_large_heads_and_old_clients__EST_40(i):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(i.root)

    def ask(request):
        with socket.create_connection(("127.0.0.1", i.enroll_port), timeout=10) as raw:
            with context.wrap_socket(raw, server_hostname="localhost") as tls:
                got = b""
                try:
                    tls.sendall(request)
                    while len(got) < 65536 and (piece := tls.recv(4096)):
                        got += piece
                except (OSError, ssl.SSLError):
                    pass
                return got

    head = b"GET /.well-known/est/cacerts HTTP/1.%d\r\nHost: localhost\r\nConnection: close\r\n"
    check(ask(head % 1 + b"X-Small: " + b"y" * 6000 + b"\r\n\r\n").startswith(b"HTTP/1.1 200"), "6 kB")
    for size in (8300, 20000):
        got = ask(head % 1 + b"X-Large: " + b"y" * size + b"\r\n\r\n")
        check(got.startswith(b"HTTP/1.1 431") and b"8 KiB" in got, size, got[:200])
    got = ask(head % 1 + b"".join(b"X-%d: y\r\n" % n for n in range(900)) + b"\r\n")
    check(got.startswith(b"HTTP/1.1 431"), got[:80])
    got = ask(head % 1 + b"X-Huge: " + b"y" * 200000 + b"\r\n\r\n")
    check(got == b"" or got.startswith(b"HTTP/1.1 4"), got[:80])
    # HTTP/1.0, with and without a Host: answered, and the connection ends.
    for request in (head % 0 + b"\r\n", b"GET /.well-known/est/cacerts HTTP/1.0\r\n\r\n"):
        got = ask(request)
        check(got.split(b"\r\n")[0].split()[1:2] == [b"200"], got[:80])


def test_smuggling_is_refused(i):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(i.root)
    for headers in (b"Content-Length: 3\r\nContent-Length: 4\r\n", b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"):
        with socket.create_connection(("127.0.0.1", i.enroll_port), timeout=10) as raw:
            with context.wrap_socket(raw, server_hostname="localhost") as tls:
                tls.sendall(b"POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: localhost\r\n"
                            b"Content-Type: application/pkcs10\r\n" + headers + b"\r\nabcd")
                first = tls.read(4096)
                check(first == b"" or first.startswith(b"HTTP/1.1 400"), headers, first[:60])


def test_nobody_blocks_another(i):
    """Silent, half-open and dripping peers; an honest one is answered meanwhile."""
    silent = [socket.create_connection(("127.0.0.1", i.enroll_port)) for _ in range(20)]
    half = [socket.create_connection(("127.0.0.1", i.enroll_port)) for _ in range(20)]
    for s in half:
        s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    began = time.monotonic()
    equal(i.http(i.est + "/cacerts").status, 200)
    check(time.monotonic() - began < 2, "took", time.monotonic() - began)
    for s in silent + half:
        s.close()


def test_slow_clients_are_cut_by_an_absolute_deadline():
    i = Instance("slow", ["limits.request_seconds=2"])
    for port, wrap in ((i.va_port, False), (i.enroll_port, True)):
        raw = socket.create_connection(("127.0.0.1", port), timeout=15)
        if wrap:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(i.root)
            raw = context.wrap_socket(raw, server_hostname="localhost")
        began = time.monotonic()
        try:
            for octet in b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"x" * 60:
                raw.send(bytes([octet]))
                time.sleep(0.2)
            raise Failure("a dripping client was kept for", time.monotonic() - began)
        except OSError:
            check(time.monotonic() - began < 6, "cut after", time.monotonic() - began)
        finally:
            raw.close()
    half = socket.create_connection(("127.0.0.1", i.enroll_port), timeout=15)
    half.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    began = time.monotonic()
    check(half.recv(1) in (b"", b"\x15"), "half a handshake was kept")
    check(time.monotonic() - began < 6)
    half.close()
    equal(i.http(i.est + "/cacerts").status, 200)
    i.stop()


def talk(i, context, session, request):
    """One connection: (its session to come back with, whether it was one, status, text)."""
    with socket.create_connection(("127.0.0.1", i.enroll_port), timeout=10) as raw:
        with context.wrap_socket(raw, server_hostname="localhost", session=session) as tls:
            tls.sendall(request)
            got = b""
            while b"\r\n\r\n" not in got or len(got.partition(b"\r\n\r\n")[2]) < int(got.lower().partition(b"content-length:")[2].split()[0]):
                piece = tls.recv(16384)
                check(piece, "the connection ended after", got)
                got += piece
            return tls.session, tls.session_reused, int(got.split()[1]), got.partition(b"\r\n\r\n")[2].decode()


def reenrollment(i, name, key):
    body = base64.b64encode(i.csr(name, key=key))
    return (b"POST /.well-known/est/simplereenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pkcs10\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body)


def client_context(i, version, name=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(i.root)
    context.minimum_version = context.maximum_version = version
    if name is not None:
        context.load_cert_chain(i.path(name + ".pem"), i.key(name))
    return context


def test_a_resumed_session_is_judged_anew__EST_39(i):
    """The certificate comes with the ticket; its status is asked at every request."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        name = f"resume-{version.value}"
        pem = i.enroll(name)
        context = client_context(i, version, name)
        nobody = client_context(i, version)
        session, _, status, _ = talk(i, context, None, reenrollment(i, name, i.key(name + "-1")))
        equal(status, 200)
        session, reused, status, text = talk(i, context, session, reenrollment(i, name, i.key(name + "-2")))
        check(reused, version, "no session was resumed")
        equal(status, 200, "the certificate is in the resumed session:", text)
        i.cli("cert", "revoke", i.serial(pem), "--reason", "superseded")
        session, reused, status, text = talk(i, context, session, reenrollment(i, name, i.key(name + "-3")))
        check(reused, version, "no session was resumed")
        equal(status, 403, text)
        check("revoked" in text, text)
        # Who showed none has none after it.
        session, _, status, _ = talk(i, nobody, None, reenrollment(i, name, i.key(name + "-4")))
        equal(status, 401)
        _, reused, status, _ = talk(i, nobody, session, reenrollment(i, name, i.key(name + "-4")))
        check(reused)
        equal(status, 401)


def test_no_early_data__EST_28__EST_39(i):
    session, early = i.path("early.session"), i.path("early.http")
    early.write_bytes(b"GET /.well-known/est/cacerts HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    at = ["openssl", "s_client", "-connect", f"localhost:{i.enroll_port}", "-CAfile", i.root, "-tls1_3"]
    run("sh", "-c", "(cat \"$0\"; sleep 1) | \"$@\"", early, *at, "-sess_out", session)
    check(session.exists(), "no ticket came")
    text = run("openssl", "sess_id", "-in", session, "-noout", "-text").stdout
    check("Max Early Data: 0" in text, text)


def test_a_resumed_certificate_expires__EST_39():
    i = Instance("resume-x", start=False)
    profile = i.dir / "profiles" / "device.yaml"
    profile.write_text(re.sub(r"(?m)^validity:.*$", "validity: 6s\nbackdate: 1s", profile.read_text()))
    i.start()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        name = f"short-{version.value}"
        i.enroll(name)
        enrolled = time.monotonic()
        context = client_context(i, version, name)
        session, _, status, text = talk(i, context, None, reenrollment(i, name, i.key(name + "-1")))
        equal(status, 200, text)
        time.sleep(max(0, 7 - (time.monotonic() - enrolled)))
        _, reused, status, text = talk(i, context, session, reenrollment(i, name, i.key(name + "-2")))
        check(reused, version, "no session was resumed")
        equal(status, 403, text)
        check("expired" in text, text)
    # A restart forgets the key: the session is made anew, and the certificate asked for.
    session, _, _, _ = talk(i, context, None, reenrollment(i, name, i.key(name + "-3")))
    i.stop()
    i.start()
    _, reused, status, _ = talk(i, context, session, reenrollment(i, name, i.key(name + "-4")))
    check(not reused, "a session outlived the process")
    i.stop()


if __name__ == "__main__":
    main(globals())
