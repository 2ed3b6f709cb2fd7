#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the first inputs of ACME's targets: tests/fuzz/make_acme_seeds.py [FOLDER]. They are kept in corpus/."""
import base64
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "corpus")
BASE = "https://ca.example:8443/acme/server/"
ED25519 = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
P256 = {"kty": "EC", "crv": "P-256", "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY", "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}
RSA = {"kty": "RSA", "e": "AQAB", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
       "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbO"
       "pbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}
PLACES = ["directory", "new-nonce", "new-account", "new-order", "revoke-cert", "key-change", "renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE",
          "acct/7", "acct/7/orders", "order/7", "order/7/finalize", "authz/7", "chall/7/http-01", "cert/7", "cert/7/1"]


def keep(target, name, data):
    (OUT / target).mkdir(parents=True, exist_ok=True)
    (OUT / target / name).write_bytes(data)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def jws(header, payload, sign=lambda text: b"\0" * 64):
    protected, body = b64(compact(header)), b64(payload)
    return {"protected": protected, "payload": body, "signature": b64(sign((protected + "." + body).encode()))}


# --- Signed by a key that is made here: the signature holds
with tempfile.TemporaryDirectory() as work:
    key, text = work + "/key", work + "/text"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ED25519", "-out", key], check=True, capture_output=True)
    raw = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout[-32:]
    mine = {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}

    def ed25519(data):
        pathlib.Path(text).write_bytes(data)
        return subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", text], check=True, capture_output=True).stdout

    request = {"alg": "EdDSA", "nonce": "AAAA", "url": BASE + "new-account"}
    signed = jws(request | {"jwk": mine}, b"{}", ed25519)
    inner = jws({"alg": "EdDSA", "jwk": mine, "url": BASE + "x"}, compact({"account": BASE + "acct/7", "oldKey": ED25519}), ed25519)

jws_seeds = {
    "signed": (0, signed),
    "es256": (0, jws(request | {"alg": "ES256", "jwk": P256}, b"{}")),
    "rs256": (0, jws(request | {"alg": "RS256", "jwk": RSA}, b"{}", lambda text: b"\1" * 256)),
    "kid": (0, jws(request | {"alg": "ES384", "kid": BASE + "acct/7"}, b"")),
    "none": (0, jws(request | {"alg": "none", "jwk": P256}, b"{}")),
    "hs256": (0, jws(request | {"alg": "HS256", "jwk": P256}, b"{}")),
    "both": (0, jws(request | {"jwk": P256, "kid": BASE + "acct/7"}, b"{}")),
    "neither": (0, jws(request, b"{}")),
    "crit": (0, jws(request | {"kid": "x", "crit": ["b64"], "b64": False}, b"{}")),
    "private": (0, jws(request | {"jwk": P256 | {"d": "AAAA"}}, b"{}")),
    "off-curve": (0, jws(request | {"alg": "ES256", "jwk": P256 | {"y": P256["x"]}}, b"{}")),
    "small-rsa": (0, jws(request | {"alg": "RS256", "jwk": RSA | {"n": RSA["n"][:171]}}, b"{}")),
    "exponent-one": (0, jws(request | {"alg": "RS256", "jwk": RSA | {"e": "AQ"}}, b"{}")),
    "ed25519-short": (0, jws(request | {"jwk": ED25519 | {"x": "AAAA"}}, b"{}")),
    "unprotected": (0, signed | {"header": {"kid": "x"}}),
    "several": (0, {"payload": signed["payload"], "signatures": [{"protected": signed["protected"], "signature": signed["signature"]}]}),
    "padding": (0, signed | {"payload": "e30="}),
    "spare-bits": (0, signed | {"payload": "e31"}),
    "new-key": (1, inner),
    "binding": (2, jws({"alg": "HS256", "kid": "kid-1", "url": BASE + "new-account"}, compact(P256))),
}
for name, (kind, value) in jws_seeds.items():
    keep("acme_jws", name, bytes([kind]) + compact(value))
keep("acme_jws", "twice", b"\0" + compact(signed)[:-1] + b',"payload":""}')
keep("acme_jws", "trailing", b"\0" + compact(signed) + b"x")
keep("acme_jws", "deep", b"\0" + b'{"protected":' + b"[" * 3000)

# --- Whole requests
for name, method, path, query, kind, body in [
    *[(f"get-{i}", "GET", "/acme/server/" + p, "", "", b"") for i, p in enumerate(PLACES)],
    *[(f"post-{i}", "POST", "/acme/server/" + p, "", "application/jose+json",
       compact(jws({"alg": "ES256", "nonce": "AAAA", "url": BASE + p, **({"jwk": P256} if p == "new-account" else {"kid": BASE + "acct/7"})}, b"{}")))
      for i, p in enumerate(PLACES)],
    ("head", "HEAD", "/acme/server/new-nonce", "", "", b""),
    ("cursor", "POST", "/acme/server/acct/7/orders", "cursor=12", "application/jose+json", b"{}"),
    ("other", "GET", "/acme/other/directory", "", "", b""),
    ("big-id", "GET", "/acme/server/order/9223372036854775808", "", "", b""),
    ("bad-ari", "GET", "/acme/server/renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AGVDIQ", "", "", b""),
]:
    keep("acme", name, "\n".join([method, path, query, kind, ""]).encode() + body)

# --- Payloads: the first octet is the place
ONE = {"type": "dns", "value": "a.example"}
for name, place, value in [
    ("account", 2, {"contact": ["mailto:a@b.example"], "termsOfServiceAgreed": True, "onlyReturnExisting": False}),
    ("binding", 2, {"externalAccountBinding": jws({"alg": "HS256", "kid": "kid-1", "url": BASE + "x"}, compact(P256), lambda t: b"\0" * 32)}),
    ("order", 3, {"identifiers": [ONE, {"type": "ip", "value": "2001:db8::1"}], "notBefore": "2026-11-24T10:00:00.5Z",
                  "notAfter": "2026-12-24T10:00:00+01:00", "profile": "server", "replaces": "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"}),
    ("revoke", 4, {"certificate": "MAMCAQU", "reason": 1}),
    ("key-change", 5, inner),
    ("deactivate", 7, {"status": "deactivated"}),
    ("contacts", 7, {"contact": ["mailto:a@b.example", "tel:1"]}),
    ("finalize", 10, {"csr": "MAMCAQU"}),
    ("authorization", 11, {"status": "deactivated"}),
    ("challenge", 12, {}),
]:
    keep("acme_payload", name, bytes([place]) + compact(value))
for place in range(15):
    keep("acme_payload", f"read-{place}", bytes([place]))
keep("acme_payload", "many", b"\3" + compact({"identifiers": [ONE] * 100}))


# --- Answers: what was asked, where, and the door's own form
def text(s):
    return struct.pack(">I", len(s.encode())) + s.encode()


def answer(parts, body=b"", problem=0, detail="", subs=()):
    return (struct.pack(">IB", parts, problem) + text(detail) + struct.pack(">II", 2, len(subs)) +
            b"".join(struct.pack(">B", p) + text("dns") + text(v) + text(d) for p, v, d in subs) + struct.pack(">qB", 7, 1) + body)


WHEN = 1795514400000000
account = struct.pack(">BBBI", 4, 1, 0, 1) + text("mailto:a@b.example")
order = (struct.pack(">qqBI", 11, WHEN, 1, 1) + text("dns") + text("a.example") + struct.pack(">Iqqq", 1, 21, WHEN, WHEN) + text("server") + text("") +
         struct.pack(">BB", 1, 23) + text("refused") + text("dns") + text("a.example"))
authorization = (struct.pack(">qqBB", 21, WHEN, 5, 5) + text("dns") + text("a.example") + b"\1" + text("token") + struct.pack(">IBqB", 14, 1, WHEN, 24) +
                 text("NXDOMAIN"))
for name, op, place, value in [
    ("account", 2, 2, answer(1, account)),
    ("order", 8, 3, answer(2, order)),
    ("finalized", 14, 10, answer(2, order)),
    ("authorization", 10, 11, answer(4, authorization)),
    ("challenge", 13, 12, answer(4, authorization)),
    ("list", 7, 8, answer(8, struct.pack(">Iqqq", 2, 29, 28, 28))),
    ("chain", 15, 13, answer(16, struct.pack(">II", 1, 5) + b"\x30\3\2\1\5" + struct.pack(">I", 2))),
    ("window", 17, 6, answer(32, struct.pack(">qq", WHEN, WHEN + 86400000000))),
    ("nothing", 16, 4, answer(0)),
    ("problem", 8, 3, answer(0, problem=27, detail="two names", subs=((12, "x.example", "not yours"), (11, "a@b", "")))),
    ("conflict", 6, 5, answer(0, problem=28, detail="it is another's")),
    ("terms", 2, 2, answer(0, problem=18, detail="agree")),
]:
    keep("acme_answer", name, bytes([op, place]) + value)
