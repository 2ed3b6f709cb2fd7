#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ACME's resources on the enrolment listener of the real programs, as far as nobody has to sign."""
import http.client
import json
import signal
import ssl

from harness import check, equal, main, wait_for


def ask(i, method, path, body=None, headers=(), host=None):
    """Status, headers (names in lower case; a list each), body."""
    context = ssl.create_default_context(cafile=str(i.dir / "trust/root.pem"))
    c = http.client.HTTPSConnection("localhost", i.enroll_port, context=context, timeout=20)
    c.putrequest(method, path, skip_host=host is not None)
    if host is not None:
        c.putheader("Host", host)
    for name, value in headers:
        c.putheader(name, value)
    if body is not None:
        c.putheader("Content-Length", str(len(body)))
    c.endheaders()
    try:
        if body:
            c.send(body)
    except OSError:
        pass  # it has heard enough
    r = c.getresponse()
    seen = {}
    for name, value in r.getheaders():
        seen.setdefault(name.lower(), []).append(value)
    data = r.read()
    c.close()
    return r.status, seen, data


def test_directory_nonce_and_refusals__ACME_01__ACME_02__ACME_10(i):
    base = f"https://localhost:{i.enroll_port}/acme/server"
    status, headers, body = ask(i, "GET", "/acme/server/directory", host="evil.example")
    equal(status, 200, body)
    equal(headers["content-type"], ["application/json"])
    directory = json.loads(body)
    equal(directory["newNonce"], base + "/new-nonce")
    equal(directory["renewalInfo"], base + "/renewal-info")
    equal(directory["meta"]["externalAccountRequired"], True)
    check("server" in directory["meta"]["profiles"], body)
    check("newAuthz" not in directory, body)
    equal(ask(i, "GET", "/acme/device/directory")[0], 404, "a profile without the acme door has a directory")
    for method, wanted in (("HEAD", 200), ("GET", 204)):
        status, headers, body = ask(i, method, "/acme/server/new-nonce")
        equal((status, body), (wanted, b""))
        equal(headers["cache-control"], ["no-store"])
        equal(headers["link"], [f'<{base}/directory>;rel="index"'])
        check(len(headers["replay-nonce"][0]) >= 22, headers)
    status, headers, body = ask(i, "GET", "/acme/server/order/7")
    equal((status, headers["allow"]), (405, ["POST"]))
    for size, kind, wanted in ((2, "application/json", 415), (2, "application/jose+json", 400), (1 << 20, "application/jose+json", 413)):
        status, headers, body = ask(i, "POST", "/acme/server/new-order", b"{" + b" " * (size - 2) + b"}", [("Content-Type", kind)])
        problem = json.loads(body)
        equal((status, problem["status"]), (wanted, wanted), body)
        equal(problem["type"], "urn:ietf:params:acme:error:malformed")
        equal(headers["content-type"], ["application/problem+json"])
        equal(len(headers["replay-nonce"]), 1, "a refusal without a nonce", headers)

    def refusals():
        found = [r["record"] for r in i.json("audit", "show")["records"] if "acme.new-order" in r["record"]]
        return found if len(found) >= 3 else None

    said = " ".join(wait_for("the refusals in the audit", refusals))
    check("Content-Type must be application/jose+json" in said and "the body is too large" in said, "the audit does not say why:", said)


def test_reload_changes_the_directory__ACME_01(i):
    config = i.dir / "caduceus.yaml"
    text = config.read_text()
    check("eab: required" in text and "terms: none" in text, "the configuration has another form:", text)
    config.write_text(text.replace("eab: required", "eab: optional").replace("terms: none", "terms: https://hospital.example/terms"))
    i.serve.send_signal(signal.SIGHUP)

    def changed():
        meta = json.loads(ask(i, "GET", "/acme/server/directory")[2])["meta"]
        return meta["externalAccountRequired"] is False and meta.get("termsOfService") == "https://hospital.example/terms"

    wait_for("the directory that the reload asks for", changed)


if __name__ == "__main__":
    main(globals())
