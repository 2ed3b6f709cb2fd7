#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""OCSP, CRLs and CA certificates as those who rely on them see them."""
import signal
import json
import base64
import hashlib
import os
import time
import urllib.parse

from harness import Failure, Instance, check, equal, main, run, wait_for


def crl_text(i, url):
    der = i.http(url).body
    return run("openssl", "crl", "-inform", "DER", "-noout", "-text", input=der, text=False).stdout.decode()


def test_good_at_once__OCSP_01__OCSP_05__OCSP_12(i):
    for n in range(8):
        pem = i.enroll(f"fresh-{n}")
        equal(i.ocsp(pem), "good", "straight after enrolment", n)
    for options in ((), ("-no_nonce",), ("-sha256",), ("-sha256", "-no_nonce")):
        equal(i.ocsp(pem, *options), "good", options)


def test_revoked_before_the_command_returns__OCSP_09__OCSP_12(i):
    pem = i.enroll("rev-1")
    equal(i.ocsp(pem, "-no_nonce"), "good", "now it lies in the cache")
    done = i.json("cert", "revoke", i.serial(pem), "--reason", "keyCompromise")
    equal(done["status"], "revoked")
    equal(i.ocsp(pem, "-no_nonce"), "revoked", "the cached answer")
    equal(i.ocsp(pem), "revoked")
    out = run("openssl", "ocsp", "-issuer", i.dir / "trust" / "devices.pem", "-CAfile", i.root, "-cert", pem,
              "-url", i.va + "/ocsp").stdout
    check("Reason: keyCompromise" in out and "Revocation Time" in out, out)


def test_hold_and_release__OCSP_09(i):
    pem = i.enroll("hold-1")
    done = i.cli("cert", "revoke", i.serial(pem), "--reason", "certificateHold", code=None)
    if done.returncode != 0:
        check("hold" in done.stderr.lower(), done.stderr)
        return
    equal(i.ocsp(pem), "revoked")
    i.cli("cert", "unhold", i.serial(pem))
    equal(i.ocsp(pem), "good")


def test_unhold_only_from_hold(i):
    pem = i.enroll("hold-2")
    i.cli("cert", "revoke", i.serial(pem), "--reason", "superseded")
    done = i.cli("cert", "unhold", i.serial(pem), code=None)
    check(done.returncode != 0)
    equal(i.ocsp(pem), "revoked")


def test_never_issued_is_not_good__OCSP_07__OCSP_08(i):
    out = run("openssl", "ocsp", "-issuer", i.dir / "trust" / "devices.pem", "-CAfile", i.root, "-serial",
              "0x4" + os.urandom(15).hex() + "1", "-url", i.va + "/ocsp")
    both = out.stdout + out.stderr
    check(": revoked" in both and "1970" in both and "certificateHold" in both, both)
    check("Response verify OK" in both, both)


def test_foreign_issuer__OCSP_06(i):
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
        i.path("f.key"), "-out", i.path("f.pem"), "-subj", "/CN=Foreign CA")
    out = run("openssl", "ocsp", "-issuer", i.path("f.pem"), "-CAfile", i.root, "-serial", "0x1234", "-url",
              i.va + "/ocsp")
    check("unauthorized" in out.stdout + out.stderr, out.stdout, out.stderr)


def request_der(i, pem, *options):
    path = i.path("q.der")
    run("openssl", "ocsp", "-issuer", i.dir / "trust" / "devices.pem", "-cert", pem, "-reqout", path, *options)
    return path.read_bytes()


def test_get_forms__OCSP_01__OCSP_02(i):
    pem = i.enroll("get-1")
    text = base64.b64encode(request_der(i, pem, "-no_nonce")).decode()
    for encoded in (urllib.parse.quote(text, safe=""), urllib.parse.quote(text, safe="").lower()
                    if "%" in urllib.parse.quote(text, safe="") and text.lower() == text else urllib.parse.quote(text, safe=""),
                    text.replace("+", "%2B").replace("=", "%3D"), text):
        reply = i.http(i.va + "/ocsp/" + encoded)
        equal(reply.status, 200, encoded)
        equal(reply.headers["content-type"], "application/ocsp-response")
        check(reply.body[6] == 0, "not successful:", reply.body[:12].hex())
    for header in ("etag", "last-modified", "expires", "cache-control"):
        check(header in reply.headers, header, reply.headers)
    again = i.http(i.va + "/ocsp/" + urllib.parse.quote(text, safe=""), "-H",
                   f"If-None-Match: {reply.headers['etag']}")
    equal(again.status, 304)


def test_malformed_is_said_so__OCSP_14(i):
    for junk in (os.urandom(40), b"", b"\x30\x00", b"\x30\x80\x00\x00"):
        reply = i.http(i.va + "/ocsp", "-H", "Content-Type: application/ocsp-request", data=junk)
        equal(reply.status, 200)
        equal(reply.body.hex(), "30030a0101", "malformedRequest")
        equal(reply.headers.get("cache-control"), "no-store")
    equal(i.http(i.va + "/ocsp", "-X", "DELETE").status, 405)


def test_http_10__OCSP_03__OCSP_22(i):
    pem = i.enroll("http10-1")
    reply = i.http(i.va + "/ocsp", "--http1.0", "-H", "Content-Type: application/ocsp-request",
                   data=request_der(i, pem))
    equal(reply.status, 200)
    check("content-length" in reply.headers, reply.headers)
    check("no-store" in reply.headers["cache-control"], "a nonce's answer is nobody else's")


def test_times_and_responder__OCSP_04__OCSP_10__OCSP_16__X509_23(i):
    pem = i.enroll("times-1")
    path = i.path("resp.der")
    run("openssl", "ocsp", "-issuer", i.dir / "trust" / "devices.pem", "-CAfile", i.root, "-cert", pem, "-url",
        i.va + "/ocsp", "-respout", path)
    text = run("openssl", "ocsp", "-respin", path, "-noverify", "-resp_text").stdout
    check("This Update" in text and "Next Update" in text and "Produced At" in text, text)
    check("Responder Id: " in text and "OCSP Nonce" in text, text)
    check("OCSP Signing" in text and "OCSP No Check" in text, "the responder's certificate is not there", text)
    check("OCSP - URI" not in text.split("OCSP No Check")[0].split("Certificate:")[-1], text)


def test_crl_of_every_authority__CRL_01__CRL_02__CRL_03__CRL_14(i):
    for ca in ("root", "devices", "servers"):
        reply = i.http(f"{i.va}/crl/{ca}/1.crl")
        equal(reply.status, 200, ca)
        equal(reply.headers["content-type"], "application/pkix-crl")
        path = i.path("c.crl")
        path.write_bytes(reply.body)
        done = run("openssl", "crl", "-inform", "DER", "-in", path, "-noout", "-text", "-CAfile",
                   i.dir / "trust" / ("root.pem" if ca == "root" else f"{ca}.pem"))
        check("verify OK" in done.stderr + done.stdout, done.stderr)
        check("Version 2 (0x1)" in done.stdout and "X509v3 CRL Number" in done.stdout
              and "Authority Key Identifier" in done.stdout, done.stdout)
        equal(i.http(f"{i.va}/crl/{ca}.crl").body, reply.body, "the newest")
        again = i.http(f"{i.va}/crl/{ca}/1.crl", "-H", f"If-None-Match: {reply.headers['etag']}")
        equal(again.status, 304)
        again = i.http(f"{i.va}/crl/{ca}/1.crl", "-H", f"If-Modified-Since: {reply.headers['last-modified']}")
        equal(again.status, 304)
    equal(i.http(i.va + "/crl/devices/2.crl").status, 404)
    equal(i.http(i.va + "/crl/../caduceus.yaml", "--path-as-is").status, 404)
    equal(i.http(i.va + "/crl/%2e%2e/caduceus.yaml", "--path-as-is").status, 404)


def test_publish_shows_the_revoked__CRL_02__CRL_07(i):
    pem = i.enroll("crl-1")
    before = int(i.json("crl", "publish", "devices")["crls"][0]["number"])
    i.cli("cert", "revoke", i.serial(pem), "--reason", "superseded")
    after = i.json("crl", "publish", "devices")["crls"][0]
    equal(int(after["number"]), before + 1)
    text = crl_text(i, f"{i.va}/crl/devices/1.crl")
    check(i.serial(pem).upper() in text and "Superseded" in text, text)
    done = run("openssl", "verify", "-crl_check", "-CAfile", i.root, "-untrusted", i.dir / "trust" / "devices.pem",
               "-CRLfile", write(i, "d.pem", crl_pem(i)), pem)
    check("certificate revoked" in done.stdout + done.stderr, done.stdout, done.stderr)


def crl_pem(i):
    return run("openssl", "crl", "-inform", "DER", input=i.http(f"{i.va}/crl/devices/1.crl").body, text=False).stdout


def write(i, name, content):
    path = i.path(name)
    path.write_bytes(content)
    return path


def test_compromise_reaches_the_crl_in_a_minute__CRL_12(i):
    pem = i.enroll("crl-2")
    number = crl_text(i, f"{i.va}/crl/devices/1.crl")
    i.cli("cert", "revoke", i.serial(pem), "--reason", "keyCompromise")
    wait_for("the CRL", lambda: i.serial(pem).upper() in crl_text(i, f"{i.va}/crl/devices/1.crl"), 60)
    check(number != crl_text(i, f"{i.va}/crl/devices/1.crl"))


def test_certificates_point_to_what_is_there__X509_26__X509_27__X509_41(i):
    pem = i.enroll("aia-1")
    text = run("openssl", "x509", "-in", pem, "-noout", "-text").stdout
    for url in (f"{i.va}/ca/devices/1.cer", f"{i.va}/crl/devices/1.crl", f"{i.va}/ocsp"):
        check("URI:" + url in text, url, text)
    reply = i.http(f"{i.va}/ca/devices/1.cer")
    equal(reply.headers["content-type"], "application/pkix-cert")
    pem_der = run("openssl", "x509", "-in", i.dir / "trust" / "devices.pem", "-outform", "DER", text=False).stdout
    equal(reply.body, pem_der)
    check(i.http(f"{i.va}/ca/devices/1.pem").body.startswith(b"-----BEGIN CERTIFICATE-----"))
    p7c = i.http(f"{i.va}/ca/devices/1.p7c")
    equal(p7c.headers["content-type"], "application/pkcs7-mime")
    check(b"BEGIN CERTIFICATE" in run("openssl", "pkcs7", "-inform", "DER", "-print_certs", input=p7c.body,
                                      text=False).stdout)
    ca = run("openssl", "x509", "-in", i.dir / "trust" / "devices.pem", "-noout", "-text").stdout
    check("OCSP - URI" not in ca and "/crl/root/1.crl" in ca and "pathlen:0" in ca, ca)
    root = run("openssl", "x509", "-in", i.root, "-noout", "-text").stdout
    check("pathlen:1" in root and "CRL Distribution" not in root, root)


def test_health__OPS_03(i):
    for url in (i.va, f"https://localhost:{i.enroll_port}"):
        equal(i.http(url + "/healthz").status, 200)
        reply = i.http(url + "/readyz")
        equal(reply.status, 200, reply.text)
        check('"checks"' in reply.text, reply.text)


def test_health_when_something_is_broken__OPS_03():
    i = Instance("health")
    urls = (i.va + "/readyz", f"https://localhost:{i.enroll_port}/readyz")

    def failed(url):
        reply = i.http(url)
        return reply.status == 503 and [c["name"] for c in json.loads(reply.text)["checks"] if c["status"] != "ok"]

    # The token is taken away: the enrolment listener is not ready; healthz says the loops run.
    os.rename(i.dir / "token", i.dir / "ca" / "away")
    i.cli("hsm", "test", code=None)
    wait_for("readyz without a token", lambda: "hsm" in (failed(urls[1]) or []), 20)
    for url in urls:
        equal(i.http(url.replace("readyz", "healthz")).status, 200)
    check("CKR" not in i.http(urls[1]).text or "pin" not in i.http(urls[1]).text.lower())
    os.rename(i.dir / "ca" / "away", i.dir / "token")
    wait_for("readyz with the token back", lambda: i.http(urls[1]).status == 200, 40)
    # ca is stopped: no answer of it for some seconds, and readyz says so; then it goes on.
    os.kill(i.roles()["ca"], signal.SIGSTOP)
    wait_for("readyz with a ca that hangs", lambda: bool(failed(urls[1])), 30)
    os.kill(i.roles()["ca"], signal.SIGCONT)
    wait_for("readyz again", lambda: i.http(urls[1]).status == 200, 30)


if __name__ == "__main__":
    main(globals())
