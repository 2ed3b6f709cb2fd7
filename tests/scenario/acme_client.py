# SPDX-License-Identifier: Apache-2.0
"""A strict ACME client: every reply is judged (status, content type, Link, Replay-Nonce, members, states) before a test sees
it. And what answers challenges: an HTTP server and a TLS server whose answers a test sets."""
import base64
import hashlib
import hmac
import http.client
import http.server
import ipaddress
import json
import pathlib
import re
import socket
import ssl
import tempfile
import threading
import time
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from harness import Failure, check, equal

PREFIX = "urn:ietf:params:acme:error:"
B64URL = re.compile(r"^[A-Za-z0-9_-]+$")
STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
# What may follow what (RFC 8555, 7.1.6); a state may always be seen again.
NEXT = {
    "order": {"pending": {"ready", "processing", "valid", "invalid"}, "ready": {"processing", "valid", "invalid"},
              "processing": {"valid", "invalid"}, "valid": set(), "invalid": set()},
    "authorization": {"pending": {"valid", "invalid", "deactivated", "expired"},
                      "valid": {"expired", "deactivated", "revoked"}, "invalid": set(), "deactivated": set(), "expired": set(),
                      "revoked": set()},
    "challenge": {"pending": {"processing", "valid", "invalid"}, "processing": {"valid", "invalid"}, "valid": set(),
                  "invalid": set()},
}


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def compact(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def new_key(kind="ES256"):
    return {"ES256": lambda: ec.generate_private_key(ec.SECP256R1()), "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
            "ES512": lambda: ec.generate_private_key(ec.SECP521R1()), "RS256": lambda: rsa.generate_private_key(65537, 2048),
            "EdDSA": ed25519.Ed25519PrivateKey.generate}[kind]()


CURVES = {"secp256r1": ("ES256", "P-256", 32, hashes.SHA256), "secp384r1": ("ES384", "P-384", 48, hashes.SHA384),
          "secp521r1": ("ES512", "P-521", 66, hashes.SHA512)}


def algorithm(key):
    if isinstance(key, rsa.RSAPrivateKey):
        return "RS256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "EdDSA"
    return CURVES[key.curve.name][0]


def jwk(key):
    public = key.public_key()
    if isinstance(key, rsa.RSAPrivateKey):
        n = public.public_numbers()
        return {"kty": "RSA", "n": b64(n.n.to_bytes((n.n.bit_length() + 7) // 8, "big")), "e": b64(n.e.to_bytes(3, "big"))}
    if isinstance(key, ed25519.Ed25519PrivateKey):
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}
    _, curve, size, _ = CURVES[key.curve.name]
    n = public.public_numbers()
    return {"kty": "EC", "crv": curve, "x": b64(n.x.to_bytes(size, "big")), "y": b64(n.y.to_bytes(size, "big"))}


def thumbprint(key):
    return b64(hashlib.sha256(compact(jwk(key))).digest())


def sign(key, data):
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    _, _, size, digest = CURVES[key.curve.name]
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(digest())))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def jws(key, protected, payload):
    """Flattened; payload: octets."""
    head, body = b64(compact({"alg": algorithm(key), **protected})), b64(payload)
    return {"protected": head, "payload": body, "signature": b64(sign(key, f"{head}.{body}".encode()))}


def make_csr(names, key=None, cn=None):
    """(DER, key); names are DNS names or addresses."""
    key = key or new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)] if cn else [])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    builder = builder.add_extension(x509.SubjectAlternativeName([san(n) for n in names]), critical=False)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(serialization.Encoding.DER), key


def san(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def identifier(name):
    if isinstance(name, dict):
        return name
    try:
        ipaddress.ip_address(name)
        return {"type": "ip", "value": name}
    except ValueError:
        return {"type": "dns", "value": name}


def ari_id(cert):
    """RFC 9773, 4.1: keyIdentifier of the AKI and the serial's content octets."""
    aki = cert.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    serial = cert.serial_number
    return b64(aki) + "." + b64(serial.to_bytes(serial.bit_length() // 8 + 1, "big"))


class Problem(Exception):
    """An error answer that was right in form."""

    def __init__(self, reply):
        self.reply, self.status, self.body = reply, reply.status, reply.json
        self.type = self.body["type"].removeprefix(PREFIX)
        self.detail = self.body["detail"]
        super().__init__(f"{self.status} {self.type}: {self.detail}")


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def all(self, name):
        return [v for k, v in self.headers if k.lower() == name.lower()]

    def get(self, name):
        found = self.all(name)
        check(len(found) <= 1, name, "stands more than once:", self.headers)
        return found[0] if found else None

    def link(self, relation):
        return [m.group(1) for v in self.all("Link") for m in re.finditer(r"<([^>]*)>\s*;\s*rel=\"?([\w-]+)\"?", v)
                if m.group(2) == relation]

    @property
    def json(self):
        return json.loads(self.body)


SEEN_NONCES, SEEN_LOCK = set(), threading.Lock()


class Client:
    """One account's client; keeps its connection. `retry`: how often a badNonce is answered by trying again."""

    def __init__(self, directory, root, key=None, retry=3, kid=None, source=None):
        self.directory_url, self.key, self.retry, self.kid = directory, key or new_key(), retry, kid
        self.host, self.port, self.path = re.match(r"https://([^:/]+):(\d+)(/.*)", directory).groups()
        self.base = f"https://{self.host}:{self.port}"
        self.tls = ssl.create_default_context(cafile=str(root))
        self.nonces, self.link, self.states, self.source = [], None, {}, source
        self.nonces_were_bad = 0
        self.directory = self.get_directory()

    # --- HTTP
    def exchange(self, method, url, body=None, headers=None, again=True):
        path = url[len(self.base):] if url.startswith(self.base) else url
        sent = False
        try:
            if self.link is None:
                self.link = http.client.HTTPSConnection(self.host, int(self.port), context=self.tls, timeout=60,
                                                        source_address=self.source)
                self.link.connect()
                self.link.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                again = False
            self.link.request(method, path, body=body, headers=headers or {})
            sent = True
            got = self.link.getresponse()
            reply = Reply(got.status, got.getheaders(), got.read())
        except (http.client.HTTPException, OSError):
            self.link = None
            if again and not (sent and method == "POST"):
                return self.exchange(method, url, body, headers, again=False)
            raise
        if reply.get("Connection") == "close":
            self.link = None
        check(method == "HEAD" or reply.status == 204 or reply.get("Content-Length") is not None, "no Content-Length:", method, url)
        check(reply.get("Transfer-Encoding") is None, "chunked:", method, url)
        return reply

    def judge(self, reply, method, url):
        """What every reply of every resource but the directory has."""
        nonce = reply.get("Replay-Nonce")
        if nonce is not None:
            check(B64URL.match(nonce) and len(nonce) >= 22, "a nonce that is none:", nonce)
            with SEEN_LOCK:
                check(nonce not in SEEN_NONCES, "a nonce was given twice")
                SEEN_NONCES.add(nonce)
            self.nonces.append(nonce)
        if url != self.directory_url and reply.status != 503:  # a front that has just started knows no directory yet
            equal([self.absolute(u) for u in reply.link("index")], [self.directory_url], "Link index of", method, url)
        if reply.status >= 400:
            equal(reply.get("Content-Type"), "application/problem+json", url, reply.body[:300])
            problem = reply.json
            check(problem["type"].startswith(PREFIX), problem)
            check(isinstance(problem["detail"], str) and problem["detail"], "a problem without a detail:", problem)
            equal(problem.get("status"), reply.status, problem)
            for sub in problem.get("subproblems", []):
                check(sub["type"].startswith(PREFIX) and set(sub["identifier"]) == {"type", "value"}, sub)
            if problem["type"] == PREFIX + "rateLimited":
                equal(reply.status, 429)
                check(reply.get("Retry-After") and int(reply.get("Retry-After")) > 0, "rateLimited without Retry-After")
            if problem["type"] == PREFIX + "badNonce":
                check(nonce is not None, "badNonce without a fresh nonce")

    def absolute(self, url):
        return url if "://" in url else self.base + url

    def get_directory(self):
        reply = self.exchange("GET", self.directory_url)
        self.judge(reply, "GET", self.directory_url)
        if reply.status == 503:
            raise Problem(reply)
        equal(reply.status, 200, reply.body[:300])
        equal(reply.get("Content-Type"), "application/json")
        found = reply.json
        for name in ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange"):
            check(found[name].startswith(self.base + "/"), name, found[name])
        check("newAuthz" not in found, "newAuthz stands in the directory, and nothing is there")
        check(isinstance(found.get("meta", {}), dict), found)
        return found

    def get(self, url, status=200):
        reply = self.exchange("GET", url)
        self.judge(reply, "GET", url)
        if reply.status >= 400 and status != reply.status:
            raise Problem(reply)
        equal(reply.status, status, url)
        return reply

    def nonce(self):
        if self.nonces:
            return self.nonces.pop()
        reply = self.exchange("HEAD", self.directory["newNonce"])
        if reply.status == 503:
            raise http.client.HTTPException("503 for a nonce")
        equal(reply.status, 200)
        check("no-store" in (reply.get("Cache-Control") or ""), "a nonce that a cache may keep")
        self.judge(reply, "HEAD", self.directory["newNonce"])
        return self.nonces.pop()

    def send(self, url, data, content_type="application/jose+json"):
        """The reply, judged, whatever it is."""
        reply = self.exchange("POST", url, data if isinstance(data, bytes) else json.dumps(data).encode(),
                              {"Content-Type": content_type})
        check(reply.get("Replay-Nonce") is not None or reply.status in (413, 503), "a POST was answered without a nonce:", url, reply.status)
        self.judge(reply, "POST", url)
        return reply

    def post(self, url, payload, status=200, key=None, with_jwk=False, protected=None):
        """payload None: POST-as-GET."""
        key = key or self.key
        raw = b"" if payload is None else payload if isinstance(payload, bytes) else compact(payload)
        for attempt in range(self.retry + 1):
            head = {"nonce": self.nonce(), "url": url, **({"jwk": jwk(key)} if with_jwk else {"kid": self.kid}), **(protected or {})}
            reply = self.send(url, jws(key, head, raw))
            if reply.status == 400 and reply.json["type"] == PREFIX + "badNonce" and attempt < self.retry:
                self.nonces_were_bad += 1
                continue
            break
        if reply.status >= 400:
            raise Problem(reply)
        check(reply.status == status or isinstance(status, tuple) and reply.status in status, url, reply.status, reply.body[:300])
        return reply

    def document(self, reply):
        equal(reply.get("Content-Type"), "application/json", reply.body[:200])
        return reply.json

    # --- accounts
    def eab(self, kid, mac_key, key=None, url=None, bits=256):
        head = b64(compact({"alg": f"HS{bits}", "kid": kid, "url": url or self.directory["newAccount"]}))
        body = b64(compact(jwk(key or self.key)))
        digest = {256: "sha256", 384: "sha384", 512: "sha512"}[bits]
        return {"protected": head, "payload": body,
                "signature": b64(hmac.new(unb64(mac_key), f"{head}.{body}".encode(), digest).digest())}

    def account_seen(self, account):
        check(account["status"] in ("valid", "deactivated", "revoked"), account)
        check(set(account) <= {"status", "contact", "termsOfServiceAgreed", "externalAccountBinding", "orders"}, account)
        check(account["orders"].startswith(self.base + "/"), account)
        self.orders_url = account["orders"]
        return account

    def register(self, eab=None, contact=(), only_existing=False, terms=True, status=(200, 201)):
        payload = {"onlyReturnExisting": True} if only_existing else {"termsOfServiceAgreed": terms}
        if contact:
            payload["contact"] = list(contact)
        if eab:
            payload["externalAccountBinding"] = self.eab(*eab)
        reply = self.post(self.directory["newAccount"], payload, status, with_jwk=True)
        location = reply.get("Location")
        check(location and location.startswith(self.base + "/"), "no account URL:", location)
        check(self.kid in (None, location), "another account than before")
        self.kid = location
        self.account_seen(self.document(reply))
        return reply

    def update(self, **members):
        return self.account_seen(self.document(self.post(self.kid, members)))

    def deactivate(self):
        equal(self.update(status="deactivated")["status"], "deactivated")

    def key_change(self, new, inner=None, inner_key=None):
        payload = {"account": self.kid, "oldKey": jwk(self.key)}
        head = {"jwk": jwk(new), "url": self.directory["keyChange"]}
        reply = self.post(self.directory["keyChange"], inner or jws(inner_key or new, head, compact(payload)))
        self.key = new
        return reply

    def orders(self):
        found, url = [], self.orders_url
        while url:
            reply = self.post(url, None)
            page = self.document(reply)["orders"]
            check(len(page) <= 100, "a page of", len(page))
            found += page
            following = reply.link("next")
            check(len(following) <= 1, following)
            url = following[0] if following else None
        return found

    # --- orders
    def moved(self, kind, url, state):
        check(state in NEXT[kind], f"a state that no {kind} has:", state)
        before = self.states.get(url, state)
        check(state == before or state in NEXT[kind][before], f"{kind} went from {before} to {state}:", url)
        self.states[url] = state

    def order_seen(self, url, order):
        self.moved("order", url, order["status"])
        check(set(order) <= {"status", "expires", "identifiers", "notBefore", "notAfter", "error", "authorizations", "finalize",
                             "certificate", "profile", "replaces"}, order)
        for member in ("identifiers", "authorizations", "finalize"):
            check(order[member], "an order without", member, order)
        if order["status"] in ("pending", "valid"):
            check("expires" in order, order)
        for member in ("expires", "notBefore", "notAfter"):
            check(member not in order or STAMP.match(order[member]), member, order.get(member))
        equal("certificate" in order, order["status"] == "valid", order)
        if "error" in order:
            equal(order["status"], "invalid", order)
            check(order["error"]["type"].startswith(PREFIX) and order["error"]["detail"], order)
        order["url"] = url
        return order

    def new_order(self, names, **members):
        reply = self.post(self.directory["newOrder"], {"identifiers": [identifier(n) for n in names], **members}, 201)
        url = reply.get("Location")
        check(url and url.startswith(self.base + "/"), "no order URL:", url)
        order = self.order_seen(url, self.document(reply))
        wanted = {(i["type"], i["value"].lower()) for i in map(identifier, names)}
        equal({(i["type"], i["value"]) for i in order["identifiers"]}, wanted)
        check(order["status"] in ("pending", "ready"), order)
        return order

    def order(self, url):
        return self.order_seen(url, self.document(self.post(url, None)))

    def authorization(self, url):
        reply = self.post(url, None)
        return self.authorization_seen(url, self.document(reply))

    def authorization_seen(self, url, a):
        self.moved("authorization", url, a["status"])
        equal(set(a["identifier"]), {"type", "value"}, a)
        check(not a["identifier"]["value"].startswith("*."), a)
        check(a["status"] not in ("valid",) or "expires" in a, "a valid authorization without an end:", a)
        check(a.get("wildcard", True) is True, "wildcard must be true or absent:", a)
        check(a["challenges"], a)
        for c in a["challenges"]:
            self.challenge_seen(c)
        kinds = [c["type"] for c in a["challenges"]]
        if a["status"] == "pending":
            if a.get("wildcard"):
                equal(kinds, ["dns-01"])
            if a["identifier"]["type"] == "ip":
                check("dns-01" not in kinds, kinds)
        a["url"] = url
        return a

    def challenge_seen(self, c):
        self.moved("challenge", c["url"], c["status"])
        check(B64URL.match(c["token"]) and len(c["token"]) >= 22, "a token that is none:", c)
        equal("validated" in c and bool(STAMP.match(c["validated"])), c["status"] == "valid", c)
        if "error" in c:
            check(c["error"]["type"].startswith(PREFIX) and c["error"]["detail"], c)
        if c["status"] == "invalid":
            check("error" in c, "an invalid challenge does not say why:", c)
        return c

    def challenge(self, authorization, kind):
        for c in authorization["challenges"]:
            if c["type"] == kind:
                return c
        raise Failure(f"no {kind} is offered: {authorization}")

    def key_authorization(self, challenge):
        return f"{challenge['token']}.{thumbprint(self.key)}"

    def start(self, challenge):
        reply = self.post(challenge["url"], {})
        check(reply.link("up"), "a challenge without Link up:", reply.headers)
        return self.challenge_seen(self.document(reply))

    def poll(self, look, url, until, seconds=60):
        """Looks until its state is one of those; waits as long as the server says, at most a second."""
        end = time.monotonic() + seconds
        pause = 0.02
        while True:
            found = look(url)
            if found["status"] in until:
                return found
            check(time.monotonic() < end, "waited in vain for", until, found)
            time.sleep(pause)
            pause = min(0.5, pause * 1.5)

    def authorized(self, order, responder, kind="http-01", wanted="valid"):
        """Every authorization answered by responder.answer(kind, name, challenge, key_authorization)."""
        for url in order["authorizations"]:
            a = self.authorization(url)
            if a["status"] == "valid":
                continue
            c = self.challenge(a, kind)
            if responder is not None:
                responder.answer(kind, a["identifier"]["value"], c["token"], self.key_authorization(c))
            self.start(c)
            a = self.poll(self.authorization, url, ("valid", "invalid"))
            equal(a["status"], wanted, a)
        return self.order(order["url"])

    def finalize(self, order, csr):
        reply = self.post(order["finalize"], {"csr": b64(csr)})
        equal(reply.get("Location"), order["url"], "Location of finalize")
        found = self.order_seen(order["url"], self.document(reply))
        if found["status"] == "processing":
            check(reply.get("Retry-After"), "processing, and no word of when to come back")
            found = self.poll(self.order, order["url"], ("valid", "invalid"))
        return found

    def certificate(self, order, url=None):
        """(chain as certificates, PEM text)"""
        reply = self.post(url or order["certificate"], None)
        equal(reply.get("Content-Type"), "application/pem-certificate-chain")
        text = reply.body.decode("ascii")
        check(re.fullmatch(r"(-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=]{1,64}\n)+-----END CERTIFICATE-----\n)+", text),
              "text that is no strict PEM:", text[:200])
        chain = [x509.load_pem_x509_certificate(p.encode()) for p in re.findall(r"-----BEGIN.*?-----END CERTIFICATE-----\n", text, re.S)]
        for below, above in zip(chain, chain[1:]):
            equal(below.issuer, above.subject)
        check(len(chain) >= 2 and chain[-1].issuer != chain[-1].subject, "the chain has a root, or nothing between")
        return chain, text

    def issue(self, names, responder, kind="http-01", csr=None, **members):
        """A whole order: (leaf, key, order)"""
        order = self.new_order(names, **members)
        if order["status"] == "pending":
            order = self.authorized(order, responder, kind)
        equal(order["status"], "ready", order)
        der, key = csr or make_csr(names)
        order = self.finalize(order, der)
        equal(order["status"], "valid", order)
        chain, _ = self.certificate(order)
        leaf = chain[0]
        got = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        equal({str(g.value) for g in got}, {n if isinstance(n, str) else n["value"] for n in names})
        if key is not None:
            equal(leaf.public_key().public_numbers(), key.public_key().public_numbers())
        return leaf, key, order

    def revoke(self, leaf, reason=None, key=None):
        payload = {"certificate": b64(leaf.public_bytes(serialization.Encoding.DER))}
        if reason is not None:
            payload["reason"] = reason
        reply = self.post(self.directory["revokeCert"], payload, key=key, with_jwk=key is not None)
        equal(reply.body, b"")

    def renewal(self, leaf_or_id):
        """(start, end, Retry-After)"""
        name = leaf_or_id if isinstance(leaf_or_id, str) else ari_id(leaf_or_id)
        reply = self.get(self.directory["renewalInfo"] + "/" + name)
        window = self.document(reply)["suggestedWindow"]
        check(STAMP.match(window["start"]) and STAMP.match(window["end"]), window)
        start, end = (datetime.datetime.fromisoformat(window[k].rstrip("Z")) for k in ("start", "end"))
        check(start < end, window)
        check(int(reply.get("Retry-After")) > 0, reply.headers)
        return start, end, int(reply.get("Retry-After"))


# --- what answers challenges

class HttpResponder:
    """http-01 on a loopback port. `special` maps a path to (status, headers, body) or to a function of the handler."""

    def __init__(self, port, address="127.0.0.1"):
        self.port, self.answers, self.special, self.asked = port, {}, {}, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.asked.append((self.headers.get("Host"), self.path))
                found = outer.special.get(self.path)
                if callable(found):
                    return found(self)
                if found is None:
                    token = self.path.removeprefix("/.well-known/acme-challenge/")
                    body = outer.answers.get(token)
                    found = (200, {}, body) if body is not None else (404, {}, "no such token")
                status, headers, body = found
                raw = body if isinstance(body, bytes) else body.encode()
                self.send_response(status)
                for k, v in headers.items():
                    self.send_header(k, v)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

            def handle_error(self, *_):
                pass
        self.server = Server((address, port), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def answer(self, kind, name, token, key_authorization):
        equal(kind, "http-01")
        self.answers[token] = key_authorization

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class DnsResponder:
    """dns-01 in a DnsServer."""

    def __init__(self, dns):
        self.dns = dns

    def answer(self, kind, name, token, key_authorization):
        equal(kind, "dns-01")
        self.dns.set("_acme-challenge." + name, "TXT", b64(hashlib.sha256(key_authorization.encode()).digest()))


class AlpnResponder:
    """tls-alpn-01 (RFC 8737) on a loopback port; `spoil` changes what a certificate holds."""

    def __init__(self, port):
        self.port, self.contexts, self.asked = port, {}, []
        self.work = tempfile.TemporaryDirectory(prefix="cad-alpn-")
        self.plain = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.plain.set_alpn_protocols(["acme-tls/1"])
        self.plain.sni_callback = self.choose
        self.sock = socket.create_server(("127.0.0.1", port), backlog=64)
        threading.Thread(target=self.serve, daemon=True).start()

    def choose(self, link, name, _):
        self.asked.append(name)
        if name is None or name.lower() not in self.contexts:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        link.context = self.contexts[name.lower()]
        return None

    def answer(self, kind, name, token, key_authorization, *, names=None, critical=True, digest=None, extension=True,
               alpn="acme-tls/1"):
        equal(kind, "tls-alpn-01")
        key = ec.generate_private_key(ec.SECP256R1())
        who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "challenge")])
        now = datetime.datetime.utcnow()
        b = x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key()).serial_number(1)
        b = b.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=7))
        b = b.add_extension(x509.SubjectAlternativeName([san(n) for n in names or [name]]), critical=False)
        value = digest if digest is not None else hashlib.sha256(key_authorization.encode()).digest()
        if extension:
            octets = b"\x04" + bytes([len(value)]) + value
            b = b.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31"), octets), critical)
        pem = pathlib.Path(self.work.name) / (hashlib.sha256(name.encode()).hexdigest() + ".pem")
        pem.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
                        + b.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols([alpn])
        context.load_cert_chain(pem)
        self.contexts[sni_of(name)] = context

    def serve(self):
        while True:
            try:
                link, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(link,), daemon=True).start()

    def talk(self, link):
        link.settimeout(10)
        try:
            with self.plain.wrap_socket(link, server_side=True) as tls:
                tls.recv(1)
        except (OSError, ValueError):
            link.close()

    def close(self):
        self.sock.close()
        self.work.cleanup()


def sni_of(name):
    """RFC 8738, 6: an address stands in SNI as its reverse name."""
    try:
        return ipaddress.ip_address(name).reverse_pointer
    except ValueError:
        return name.lower()
