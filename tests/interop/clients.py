#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Real clients as packaged: strongSwan's pki over EST, openssl and GnuTLS over OCSP and CRLs."""
import base64
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scenario"))
from harness import check, equal, main, run


def pki(i, *argv, code=0):
    done = run("pki", *argv, text=False)
    if code is not None:
        equal(done.returncode, code, argv[0], done.stderr.decode()[-600:])
    return done


def trust(i):
    return ["--cacert", i.root, "--cacert", i.dir / "trust" / "devices.pem", "--cacert",
            i.dir / "trust" / "servers.pem"]


def test_strongswan_enrolls_and_renews__EST_02__EST_22__QRK_02(i):
    url = f"https://localhost:{i.enroll_port}"
    pki(i, "--estca", "--url", url, "--cacert", i.root, "--caout", i.path("ca"), "--outform", "pem", "--force")
    check(list(i.home.glob("ca*.pem")) or i.path("ca").exists(), "estca wrote nothing")
    password = i.device("swan-1", "--uses", "5", "--san", "dns:swan-1.example")["password"]
    for kind, size in (("ecdsa", "256"), ("rsa", "2048"), ("ecdsa", "384")):
        key, req = i.path(f"sw-{kind}{size}.key"), i.path(f"sw-{kind}{size}.req")
        key.write_bytes(pki(i, "--gen", "--type", kind, "--size", size, "--outform", "pem").stdout)
        req.write_bytes(pki(i, "--req", "--in", key, "--type", kind, "--dn", "CN=swan-1.example", "--san",
                            "swan-1.example", "--outform", "der").stdout)
        out = pki(i, "--est", "--url", url, "--in", req, *trust(i), "--userpass", f"swan-1:{password}", "--outform",
                  "pem").stdout
        check(b"BEGIN CERTIFICATE" in out, kind, size)
    cert = i.path("sw.pem")
    cert.write_bytes(out)
    newkey, newreq = i.path("sw2.key"), i.path("sw2.req")
    newkey.write_bytes(pki(i, "--gen", "--type", "ecdsa", "--size", "256", "--outform", "pem").stdout)
    newreq.write_bytes(pki(i, "--req", "--in", newkey, "--type", "ecdsa", "--dn", "CN=swan-1.example", "--san",
                           "swan-1.example", "--outform", "der").stdout)
    renewed = pki(i, "--est", "--url", url, "--in", newreq, *trust(i), "--cert", cert, "--key", key, "--outform",
                  "pem").stdout
    new = i.path("sw-new.pem")
    new.write_bytes(renewed)
    check(i.serial(new) != i.serial(cert), "the old serial")
    bad = pki(i, "--est", "--url", url, "--in", req, *trust(i), "--userpass", "swan-1:wrong", "--outform", "pem",
              code=None)
    check(bad.returncode != 0 and b"HTTP 401" in bad.stderr, bad.stderr)


def test_strongswan_verifies_online__OCSP_11(i):
    pem = i.enroll("swan-2")
    argv = ("--verify", "--in", pem, "--cacert", i.root, "--cacert", i.dir / "trust" / "devices.pem", "--online")
    done = pki(i, *argv, code=None)
    both = (done.stdout + done.stderr).decode()
    check("ocsp response correctly signed" in both, both[-800:])
    i.cli("cert", "revoke", i.serial(pem))
    both = (lambda d: d.stdout + d.stderr)(pki(i, *argv, code=None)).decode()
    check("revoked" in both, both[-800:])


def test_ocsptool_and_certtool__OCSP_05__OCSP_11__CRL_01(i):
    pem = i.enroll("gnutls-1")
    bundle = i.path("bundle.pem")
    bundle.write_text(i.root.read_text() + (i.dir / "trust" / "devices.pem").read_text())

    def ask(*options):
        done = run("ocsptool", f"--ask={i.va}/ocsp", "--load-issuer", i.dir / "trust" / "devices.pem",
                   "--load-cert", pem, "--load-trust", bundle, *options)
        both = done.stdout + done.stderr
        check("Verifying OCSP Response: Success" in both, both)
        return both

    for options in ((), ("--nonce",)):
        check("Certificate Status: good" in ask(*options))
    i.cli("cert", "revoke", i.serial(pem))
    for options in ((), ("--nonce",)):
        check("Certificate Status: revoked" in ask(*options))
    i.cli("crl", "publish", "devices")
    crl = i.path("devices.crl.pem")
    crl.write_bytes(run("openssl", "crl", "-inform", "DER", input=i.http(i.va + "/crl/devices/1.crl").body,
                        text=False).stdout)
    done = run("certtool", "--verify", "--load-ca-certificate", bundle, "--load-crl", crl, "--infile", pem)
    check(done.returncode != 0 and "revoked" in done.stdout + done.stderr, done.stdout, done.stderr)


if __name__ == "__main__":
    main(globals())
