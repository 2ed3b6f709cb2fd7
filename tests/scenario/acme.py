#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ACME over the whole product, by a client that judges every reply (acme_client.py): challenges and their failures, the
fence, accounts, orders, revocation, renewal information, limits, two nodes, random walks of several clients, kills of every
role between and within all steps of an order."""
import datetime
import http.client
import itertools
import os
import random
import re
import signal
import sys
import threading
import time

from acme_client import *
from crash import everything_is_there
from dns_server import DnsServer
from harness import LONG, Failure, Instance, check, equal, free_port, main, run, wait_for
from sandbox import SANITIZED

HTTP_PORT, TLS_PORT = free_port(), free_port()
DNS = DnsServer()
# 127.0.0.1 answers, 127.0.0.3 is allowed and nobody is there, 127.0.0.2 answers and is not allowed.
SETTINGS = [f"acme.http_port={HTTP_PORT}", f"acme.tls_alpn_port={TLS_PORT}", f"acme.resolver={DNS.address}",
            "acme.networks=private 127.0.0.1/32 127.0.0.3/32", "limits.connections=4000", "limits.per_address=4000"]
SHARED = [*SETTINGS, "acme.orders_per_minute=0", "acme.failures_per_hour=0"]
HTTP, ALPN, ONLY_DNS = HttpResponder(HTTP_PORT), AlpnResponder(TLS_PORT), DnsResponder(DNS)
DNS.set("*.ward.example", "A", "127.0.0.1")
SEED = int(os.environ.get("CADUCEUS_TEST_SEED", random.randrange(10**6)))
NUMBER = itertools.count(1)
MET = set()  # error types that some test has seen: (type, status)
EVERYTHING = ("--san", "dns:*.ward.example", "--san", "dns:*.example", "--san", "ip:127.0.0.1")


def name():
    return f"n{next(NUMBER)}.ward.example"


def url(i, profile="server"):
    return f"https://localhost:{i.enroll_port}/acme/{profile}/directory"


def binding(i, *options):
    made = i.json("acme", "eab", "add", f"service-{next(NUMBER)}", *(options or EVERYTHING))
    return made["kid"], made["hmac_key"]


def client(i, *options, key=None, contact=()):
    c = Client(url(i), i.root, key)
    c.register(eab=binding(i, *options), contact=contact, status=201)
    return c


def refused(kind, status, act):
    """The call is refused with that type and status; the problem."""
    try:
        act()
    except Problem as p:
        equal((p.type, p.status), (kind, status), p.detail)
        MET.add((kind, status))
        return p
    raise Failure(f"{kind} was to be refused, and was not")


def answered(c, order, kind, responder=None):
    """Starts the first authorization's challenge and waits for its end: the authorization, the order."""
    at = order["authorizations"][0]
    a = c.authorization(at)
    ch = c.challenge(a, kind)
    if responder:
        responder(kind, a["identifier"]["value"], ch["token"], c.key_authorization(ch))
    c.start(ch)
    a = c.poll(c.authorization, at, ("valid", "invalid"))
    return a, c.order(order["url"])


def failed(c, names, kind, wanted, responder=None, order=None):
    """A validation that fails: with one of those types, in the challenge and in the order."""
    order = order or c.new_order(names)
    a, order = answered(c, order, kind, responder)
    equal(a["status"], "invalid", a)
    equal(order["status"], "invalid", "an order with an authorization that failed")
    error = c.challenge(a, kind)["error"]
    got = error["type"].removeprefix(PREFIX)
    check(got in wanted, f"wanted {wanted}, got {got}: {error['detail']}")
    equal(order["error"]["type"], error["type"], "the order's error is not the challenge's")
    MET.add((got, "challenge"))
    refused("orderNotReady", 403, lambda: c.finalize(order, make_csr([n for n in names])[0]))
    return error["detail"]


# --- what everybody meets first

def test_directory_and_nonces__ACME_01__ACME_02__ACME_03__ACME_04__ACME_10(i):
    c = Client(url(i), i.root)
    d = c.directory
    check(d["renewalInfo"].startswith(c.base) and d["meta"]["externalAccountRequired"] is True, d)
    check("profiles" in d["meta"] and "server" in d["meta"]["profiles"], d)
    for host in ("evil.example", "evil.example:443", "localhost", ""):
        reply = c.exchange("GET", url(i), headers={"Host": host})
        check(reply.status in (200, 400), reply.status)
        check(b"evil" not in reply.body, "a Host that was made up is in the directory")
        if reply.status == 200:
            equal(reply.json, d)
    for method, status in (("HEAD", 200), ("GET", 204)):
        reply = c.exchange(method, d["newNonce"])
        equal(reply.status, status)
        check("no-store" in reply.get("Cache-Control") and reply.get("Replay-Nonce"), reply.headers)
    me = client(i)
    order = me.new_order([name()])
    for at in (order["url"], order["authorizations"][0], order["finalize"], me.kid, d["newOrder"], d["newAccount"], d["keyChange"]):
        reply = c.exchange("GET", at)
        c.judge(reply, "GET", at)
        equal((reply.status, reply.json["type"]), (405, PREFIX + "malformed"), at)
    reply = me.send(d["newOrder"], jws(me.key, {"nonce": me.nonce(), "url": d["newOrder"], "kid": me.kid}, b"{}"), "application/json")
    equal((reply.status, reply.json["type"]), (415, PREFIX + "malformed"))
    equal(i.http(f"https://localhost:{i.enroll_port}/acme/nobody/directory").status, 404)
    equal(i.http(url(i, "device")).status, 404, "a profile without the door has a directory")


def test_a_resolver_may_be_named__ACME_32():
    dns, port = DnsServer(), free_port()
    dns.set("named.example", "A", "127.0.0.1")
    i = Instance("named", settings=["acme.networks=private 127.0.0.0/8", f"acme.http_port={port}", "acme.eab=optional",
                                    f"acme.resolver=localhost:{dns.port}"])
    http = HttpResponder(port)
    try:
        me = Client(f"https://localhost:{i.enroll_port}/acme/server/directory", i.root)
        me.register()
        me.issue(["named.example"], http)
        equal(i.stop(), 0)
    finally:
        http.close()
        dns.close()


def test_signatures__ACME_05__ACME_06__ACME_07__ACME_08__ACME_09(i):
    me, there = client(i), None
    there = me.directory["newOrder"]
    payload = compact({"identifiers": [identifier(name())]})

    def send(head, key=None, body=payload, spoil=None):
        reply = me.send(there, (spoil or (lambda x: x))(jws(key or me.key, head, body)))
        return reply.status, reply.json.get("type", "").removeprefix(PREFIX), reply

    def head(**more):
        return {"nonce": me.nonce(), "url": there, "kid": me.kid, **more}

    equal(send(head())[:1], (201,))
    used = head()
    equal(send(used)[0], 201)
    for nonce in (used["nonce"], "AAAAAAAAAAAAAAAAAAAAAA", "", "not+base64=="):
        got = send(head(nonce=nonce))
        check(got[:2] in ((400, "badNonce"), (400, "malformed")), got)
    equal(send(used)[:2], (400, "badNonce"))
    MET.add(("badNonce", 400))
    for at in (there + "/", there.replace("localhost", "LOCALHOST"), there.replace("https", "http"), there + "?", there.replace(f":{i.enroll_port}", "")):
        equal(send(head(url=at))[:2], (403, "unauthorized"), at)
    both = {**head(), "jwk": jwk(me.key)}
    equal(send(both)[:2], (400, "malformed"))
    neither = head()
    del neither["kid"]
    equal(send(neither)[:2], (400, "malformed"))
    jwk_only = {"nonce": me.nonce(), "url": there, "jwk": jwk(me.key)}
    equal(send(jwk_only)[:2], (400, "malformed"))
    for alg in ("none", "HS256", "RS256", "ES384", "PS256"):
        got = send(head(alg=alg))
        check(got[:2] in ((400, "badSignatureAlgorithm"), (400, "malformed")), alg, got)
        if got[1] == "badSignatureAlgorithm":
            check("ES256" in got[2].json["algorithms"] and "RS256" in got[2].json["algorithms"], got[2].json)
            MET.add(("badSignatureAlgorithm", 400))
    got = send(head(), key=new_key())
    check(got[0] in (400, 403), got)
    for spoil in (lambda x: {**x, "header": {}}, lambda x: {**x, "signatures": []}, lambda x: {**x, "payload": x["payload"] + "="},
                  lambda x: {"payload": x["payload"], "signature": x["signature"]}):
        equal(send(head(), spoil=spoil)[:2], (400, "malformed"))
    equal(send(head(crit=["b64"], b64=False))[:2], (400, "malformed"))
    unknown = re.sub(r"\d+$", "999999", me.kid)
    equal(send(head(kid=unknown))[:2], (400, "accountDoesNotExist"))
    for raw in (b"", b"{", b"[]", b"null", b'{"protected":"e30","protected":"e30","payload":"","signature":""}', b"[" * 20000):
        equal(me.send(there, raw).status, 400, raw[:40])
    # curl waits for leave before it sends so much, and hears that it may not.
    reply = i.http(there, "-H", "Content-Type: application/jose+json", "-H", "Expect: 100-continue", data=b"x" * (1 << 20))
    equal((reply.status, reply.headers["content-type"]), (413, "application/problem+json"))
    for kind in ("ES384", "ES512", "EdDSA", "RS256"):
        c = client(i, key=new_key(kind))
        equal(c.new_order([name()])["status"], "pending", kind)


def test_nonces_of_another_node__ACME_09(i):
    """A nonce is bound to the node that made it: elsewhere, and after a restart, the client is told and tries again."""
    other = Instance("acme-node", settings=SHARED)
    try:
        here, there = client(i), client(other)
        there.nonces = [here.nonce() for _ in range(2)]
        before = there.nonces_were_bad
        equal(there.new_order([name()])["status"], "pending")
        check(there.nonces_were_bad > before, "another node's nonce was taken")
        there.nonce()
        equal(other.stop(), 0)
        other.start()
        there.link = None
        equal(there.new_order([name()])["status"], "pending")
        equal(other.stop(), 0)
    finally:
        other.close()


# --- accounts

def test_accounts__ACME_12__ACME_16__ACME_17__ACME_18__ACME_19__ACME_21(i):
    stranger = Client(url(i), i.root)
    refused("accountDoesNotExist", 400, lambda: stranger.register(only_existing=True))
    refused("externalAccountRequired", 403, lambda: stranger.register())
    kid, mac = binding(i, *EVERYTHING, "--uses", "1")
    refused("unauthorized", 403, lambda: stranger.register(eab=(kid, b64(os.urandom(32)))))
    refused("unauthorized", 403, lambda: stranger.register(eab=("nobody", mac)))
    for spoiled in (stranger.eab(kid, mac, url=stranger.directory["newOrder"]), stranger.eab(kid, mac, key=new_key())):
        try:
            stranger.post(stranger.directory["newAccount"], {"externalAccountBinding": spoiled}, 201, with_jwk=True)
            raise Failure("a binding of something else was taken")
        except Problem as p:
            check(p.type in ("malformed", "unauthorized"), p)
    for contact, kind in (("mailto:a@x.example,b@x.example", "invalidContact"), ("mailto:a@x.example?subject=x", "invalidContact"),
                          ("tel:+4912345", "unsupportedContact"), ("mailto:", "invalidContact")):
        refused(kind, 400, lambda: stranger.register(eab=(kid, mac), contact=[contact]))
    reply = stranger.register(eab=(kid, mac), contact=["mailto:servers@hospital.example"], status=201)
    equal(reply.json["contact"], ["mailto:servers@hospital.example"])
    # Known: the same account, before any binding is looked at; and the binding is used up for others.
    equal(stranger.register().status, 200)
    equal(stranger.register(only_existing=True).status, 200)
    second = Client(url(i), i.root)
    refused("unauthorized", 403, lambda: second.register(eab=(kid, mac)))
    equal(stranger.update(contact=["mailto:new@hospital.example"])["contact"], ["mailto:new@hospital.example"])
    weak = rsa.generate_private_key(65537, 1024)
    refused("badPublicKey", 400, lambda: Client(url(i), i.root, weak).register(eab=binding(i)))
    order = stranger.new_order([name()])
    stranger.deactivate()
    for act in (lambda: stranger.new_order([name()]), lambda: stranger.order(order["url"]), lambda: stranger.update(contact=[])):
        refused("unauthorized", 401, act)
    # An officer ends another.
    me = client(i)
    number = re.search(r"(\d+)$", me.kid).group(1)
    i.cli("acme", "account", "disable", number)
    refused("unauthorized", 401, lambda: me.new_order([name()]))


def test_key_change__ACME_22(i):
    me, other = client(i), client(i)
    at, old, new = me.directory["keyChange"], me.key, new_key()
    payload = {"account": me.kid, "oldKey": jwk(old)}
    good = {"jwk": jwk(new), "url": at}
    wrong = [jws(new, {**good, "url": at + "x"}, compact(payload)), jws(new, {**good, "nonce": me.nonce()}, compact(payload)),
             jws(new, good, compact({**payload, "account": other.kid})), jws(new, good, compact({**payload, "oldKey": jwk(new)})),
             jws(old, good, compact(payload)), jws(new, {"url": at, "kid": me.kid}, compact(payload)),
             {**jws(new, good, compact(payload)), "signature": b64(os.urandom(64))}, {"nothing": 1}]
    for inner in wrong:
        try:
            me.key_change(new, inner=inner)
            raise Failure(f"taken: {inner}")
        except Problem as p:
            check(p.type in ("malformed", "unauthorized", "badSignatureAlgorithm", "badPublicKey") and p.status in (400, 403), p)
        me.key = old
    inner = jws(other.key, {"jwk": jwk(other.key), "url": at}, compact(payload))
    try:
        me.key_change(other.key, inner=inner)
        raise Failure("a key of another account was taken")
    except Problem as p:
        equal((p.status, p.reply.get("Location")), (409, other.kid))
    me.key = old
    pending = me.new_order([name()])
    me.key_change(new)
    equal(me.order(pending["url"])["status"], "pending")
    old_client = Client(url(i), i.root, old)
    old_client.kid = me.kid
    try:
        old_client.new_order([name()])
        raise Failure("the old key still signs")
    except Problem as p:
        check(p.status in (400, 403), p)
    leaf, _, _ = me.issue([name()], HTTP)
    me.revoke(leaf)


# --- challenges

def test_every_kind_of_challenge__ACME_28__ACME_30__ACME_32__ACME_33__ACME_34__ACME_35(i):
    me = client(i)
    me.issue([name(), name()], HTTP)
    me.issue([name()], ALPN, "tls-alpn-01")
    me.issue([name()], ONLY_DNS, "dns-01")
    order = me.new_order(["*.w1.ward.example"])
    a = me.authorization(order["authorizations"][0])
    equal((a["identifier"]["value"], a["wildcard"]), ("w1.ward.example", True))
    me.issue(["*.w2.ward.example"], ONLY_DNS, "dns-01")
    me.issue(["127.0.0.1"], HTTP)
    other = client(i)
    other.issue(["127.0.0.1"], ALPN, "tls-alpn-01")
    # A CNAME, several TXT records, an answer by TCP alone, white space after the body, a redirect.
    n = name()
    DNS.set(f"_acme-challenge.{n}", "CNAME", f"acme.{n}")
    order = me.new_order([n])
    a = me.authorization(order["authorizations"][0])
    c = me.challenge(a, "dns-01")
    value = b64(hashlib.sha256(me.key_authorization(c).encode()).digest())
    DNS.set(f"acme.{n}", "TXT", "something else", value, "and more", "x" * 700)
    DNS.fault(f"acme.{n}", "truncated")
    by_tcp = DNS.by_tcp
    me.start(c)
    equal(me.poll(me.authorization, a["url"], ("valid", "invalid"))["status"], "valid")
    check(DNS.by_tcp > by_tcp, "never asked by TCP")
    order = me.new_order([name()])
    a = me.authorization(order["authorizations"][0])
    c = me.challenge(a, "http-01")
    HTTP.special["/.well-known/acme-challenge/" + c["token"]] = (302, {"Location": f"http://{a['identifier']['value']}:{HTTP_PORT}/moved"}, "")
    HTTP.special["/moved"] = (200, {}, me.key_authorization(c) + "\r\n  ")
    # Twice: the second changes nothing.
    for _ in range(2):
        me.start(c)
    equal(me.poll(me.authorization, a["url"], ("valid", "invalid"))["status"], "valid")
    for kinds, n in ((("http-01", "dns-01", "tls-alpn-01"), name()),):
        a = me.authorization(me.new_order([n])["authorizations"][0])
        equal(sorted(c["type"] for c in a["challenges"]), sorted(kinds))


def test_failing_challenges__ACME_13__ACME_29(i):
    me = client(i)
    DNS.set("closed.ward.example", "A", "127.0.0.3")
    failed(me, ["closed.ward.example"], "http-01", ("connection",))
    failed(me, ["closed.ward.example"], "tls-alpn-01", ("connection",))
    failed(me, ["nobody.nowhere.example"], "http-01", ("dns",))
    failed(me, ["nobody.nowhere.example"], "dns-01", ("dns", "unauthorized"))
    DNS.set("broken.ward.example", "A", "127.0.0.1")
    DNS.fault("broken.ward.example", "servfail")
    failed(me, ["broken.ward.example"], "http-01", ("dns",))
    for body in ("wrong", "", "<html>login</html>" * 1000):
        failed(me, [name()], "http-01", ("unauthorized", "incorrectResponse"), lambda k, n, token, ka, body=body: HTTP.answers.update({token: body}))
    failed(me, [name()], "http-01", ("unauthorized", "incorrectResponse", "connection"))  # 404
    failed(me, [name()], "dns-01", ("unauthorized", "incorrectResponse"),
           lambda k, n, token, ka: DNS.set("_acme-challenge." + n, "TXT", "wrong", "no"))

    def loop(kind, n, token, ka):
        path = "/.well-known/acme-challenge/" + token
        HTTP.special[path] = (302, {"Location": f"http://{n}:{HTTP_PORT}{path}"}, "")
    failed(me, [name()], "http-01", ("unauthorized", "incorrectResponse", "connection"), loop)

    def endless(kind, n, token, ka):
        def pour(h):
            h.send_response(200)
            h.send_header("Content-Length", "100000000")
            h.end_headers()
            try:
                for _ in range(2000):
                    h.wfile.write(b"x" * 65536)
            except OSError:
                pass
        HTTP.special["/.well-known/acme-challenge/" + token] = pour
    failed(me, [name()], "http-01", ("unauthorized", "incorrectResponse", "connection"), endless)
    for more in ({"critical": False}, {"names": ["other.ward.example"]}, {"digest": b"\0" * 32}, {"extension": False}, {"alpn": "http/1.1"}):
        failed(me, [name()], "tls-alpn-01", ("unauthorized", "incorrectResponse", "tls"),
               lambda k, n, token, ka, more=more: ALPN.answer(k, n, token, ka, **more))
    n = name()
    failed(me, [n], "tls-alpn-01", ("unauthorized", "incorrectResponse"), lambda k, m, token, ka: ALPN.answer(k, m, token, ka, names=[m, "b.ward.example"]))
    failed(me, [name()], "tls-alpn-01", ("tls",))  # nobody knows the name: an alert


class Silent:
    """Takes connections and says nothing; counts them."""

    def __init__(self, address, port):
        self.sock, self.met, self.held = socket.create_server((address, port), backlog=64), 0, []
        threading.Thread(target=self.take, daemon=True).start()

    def take(self):
        while True:
            try:
                link, _ = self.sock.accept()
            except OSError:
                return
            self.met += 1
            self.held.append(link)

    def close(self):
        self.sock.close()
        for link in self.held:
            link.close()


def test_fence__ACME_31(i):
    """After every look-up and every redirect: nobody is connected to who is not allowed."""
    me, trap, tls_trap = client(i), Silent("127.0.0.2", HTTP_PORT), Silent("127.0.0.2", TLS_PORT)
    wanted = ("connection", "unauthorized", "dns", "incorrectResponse")
    try:
        for address in ("127.0.0.2", "169.254.169.254", "0.0.0.0", "255.255.255.255", "224.0.0.1", "198.51.100.1"):
            DNS.set("inside.ward.example", "A", address)
            began = time.monotonic()
            failed(me, ["inside.ward.example"], "http-01", wanted)
            check(time.monotonic() - began < 20, address, "was tried, it seems")
        for address in ("::1", "::ffff:127.0.0.2", "fe80::1", "2001:db8::1", "64:ff9b::7f00:2"):
            DNS.set("inside.ward.example", "A")
            DNS.set("inside.ward.example", "AAAA", address)
            failed(me, ["inside.ward.example"], "http-01", wanted)
        DNS.remove("inside.ward.example")
        DNS.set("inside.ward.example", "A", "127.0.0.2")
        failed(me, ["inside.ward.example"], "tls-alpn-01", wanted)
        for target in (f"http://127.0.0.2:{HTTP_PORT}/", "http://169.254.169.254/latest/meta-data/", f"http://inside.ward.example:{HTTP_PORT}/",
                       f"http://[::1]:{HTTP_PORT}/", f"http://2130706434:{HTTP_PORT}/", "file:///etc/passwd", "gopher://127.0.0.1/",
                       f"http://127.0.0.1:{i.va_port}/", f"ftp://127.0.0.1/"):
            failed(me, [name()], "http-01", wanted, lambda k, n, token, ka, target=target: HTTP.special.update(
                {"/.well-known/acme-challenge/" + token: (302, {"Location": target}, "")}))
        # Good when it is asked first, forbidden when it is asked again.
        answers = itertools.chain(["127.0.0.1"], itertools.repeat("127.0.0.2"))
        n = name()
        DNS.set(n, "A", lambda: next(answers))
        failed(me, [n], "http-01", wanted, lambda k, m, token, ka: HTTP.special.update(
            {"/.well-known/acme-challenge/" + token: (302, {"Location": f"http://{m}:{HTTP_PORT}/again"}, "")}))
        equal((trap.met, tls_trap.met), (0, 0), "somebody connected to 127.0.0.2")
    finally:
        trap.close()
        tls_trap.close()


def test_silent_server_holds_up_nobody__ACME_29__ACME_30(i):
    DNS.set("silent.ward.example", "A", "127.0.0.3")
    silent, me, other = Silent("127.0.0.3", HTTP_PORT), client(i), client(i)
    try:
        order = me.new_order(["silent.ward.example"])
        a = me.authorization(order["authorizations"][0])
        began = time.monotonic()
        got = me.start(me.challenge(a, "http-01"))
        check(got["status"] == "processing", got)
        reply = me.post(a["url"], None)
        check(2 <= int(reply.get("Retry-After")) <= 30, reply.headers)
        for _ in range(3):
            other.issue([name()], HTTP)
        check(time.monotonic() - began < 8, "others waited for the silent one")
        a = me.poll(me.authorization, a["url"], ("valid", "invalid"), 75)
        equal(a["status"], "invalid")
        check(silent.met <= 3, "tried", silent.met, "times")
    finally:
        silent.close()


# --- orders

def test_orders__ACME_12__ACME_20__ACME_24__ACME_25__ACME_46(i):
    me = client(i, "--san", "dns:*.ward.example")
    n = name()
    order = me.new_order([n, n.upper(), n])
    equal(order["identifiers"], [identifier(n)], "doubles are not folded")
    refused("malformed", 400, lambda: me.post(me.directory["newOrder"], {"identifiers": []}, 201))
    refused("malformed", 400, lambda: me.post(me.directory["newOrder"], {}, 201))
    refused("malformed", 400, lambda: me.new_order([f"x{k}.ward.example" for k in range(101)]))
    equal(len(me.new_order([f"x{k}.ward.example" for k in range(100)])["authorizations"]), 100)
    refused("unsupportedIdentifier", 400, lambda: me.new_order([{"type": "email", "value": "a@ward.example"}]))
    p = refused("rejectedIdentifier", 400, lambda: me.new_order(["outside.example"]))
    check("outside.example" in p.detail, p.detail)
    refused("rejectedIdentifier", 400, lambda: me.new_order(["127.0.0.1"]))
    try:
        me.new_order(["bad1.example", n, "bad2.example"])
        raise Failure("two names outside were taken")
    except Problem as p:
        equal({s["identifier"]["value"] for s in p.body["subproblems"]}, {"bad1.example", "bad2.example"})
    for bad in ("a..ward.example", "-a.ward.example", "a b.ward.example", "*.*.ward.example", "a.*.ward.example", "x" * 64 + ".ward.example",
                "münchen.ward.example", "", "ward.example\0.example"):
        try:
            me.new_order([bad])
            raise Failure(f"taken: {bad!r}")
        except Problem as p:
            check(p.status == 400 and p.type in ("malformed", "rejectedIdentifier", "unsupportedIdentifier"), bad, p)
    refused("malformed", 400, lambda: me.new_order([name()], notBefore="2030-01-01T00:00:00Z"))
    refused("invalidProfile", 400, lambda: me.new_order([name()], profile="nobody"))
    refused("invalidProfile", 400, lambda: me.new_order([name()], profile="device"))
    equal(me.new_order([name()], profile="server")["profile"], "server")
    # Another account sees nothing of it.
    other = client(i)
    for at in (order["url"], order["authorizations"][0]):
        try:
            other.post(at, None)
            raise Failure("another account's")
        except Problem as p:
            check(p.status in (403, 404), p)


def test_finalize__ACME_36__ACME_37__ACME_38__ACME_39(i):
    me = client(i)
    n, m = name(), name()
    order = me.new_order([n, m])
    refused("orderNotReady", 403, lambda: me.finalize(order, make_csr([n, m])[0]))
    order = me.authorized(order, HTTP)
    equal(order["status"], "ready")
    der, _ = make_csr([n, m])
    broken = der[:-1] + bytes([der[-1] ^ 1])
    weak = rsa.generate_private_key(65537, 1024)
    for what, csr in (("a name is missing", make_csr([n])[0]), ("a name too many", make_csr([n, m, "x.ward.example"])[0]),
                      ("another CN", make_csr([n, m], cn="x.ward.example")[0]), ("the account's key", make_csr([n, m], me.key)[0]),
                      ("a weak key", make_csr([n, m], weak)[0]), ("nothing", b""), ("an empty one", b"0\0"),
                      ("an octet more", der + b"\0")):
        try:
            me.finalize(order, csr)
            raise Failure(f"taken: {what}")
        except Problem as problem:
            p = problem
        equal((p.type, p.status), ("badCSR", 400), what)
        MET.add(("badCSR", 400))
        check(len(p.detail) > 8, p.detail)
        equal(me.order(order["url"])["status"], "ready", "a CSR that was refused has ended the order")
    # Whose signature does not hold, that ca sees: the order ends, and says so.
    lost = me.finalize(me.new_order([n, m]), broken)
    equal((lost["status"], lost["error"]["type"]), ("invalid", PREFIX + "badCSR"), lost)
    order = me.finalize(order, make_csr([m.upper(), n], cn=n)[0])
    equal(order["status"], "valid")
    refused("orderNotReady", 403, lambda: me.finalize(order, make_csr([n, m])[0]))
    (leaf, *_), text = me.certificate(order)
    equal(me.certificate(order)[1], text, "another one at the second download")
    other = client(i)
    try:
        other.post(order["certificate"], None)
        raise Failure("another account's certificate")
    except Problem as p:
        check(p.status in (403, 404), p)
    equal(me.new_order([n])["status"], "ready", "its validation does not count")
    me.issue([n], None)


def test_list_of_250_orders__ACME_23(i):
    me = client(i)
    made = [me.new_order([name()])["url"] for _ in range(250)]
    found = me.orders()
    equal(sorted(found), sorted(made))
    DNS.set("gone.ward.example", "A", "127.0.0.3")
    bad = me.new_order(["gone.ward.example"])
    answered(me, bad, "http-01")
    check(bad["url"] not in me.orders(), "an invalid order is listed")


def test_deactivated_authorization__ACME_27(i):
    me = client(i)
    order = me.new_order([name()])
    at = order["authorizations"][0]
    equal(me.authorization_seen(at, me.document(me.post(at, {"status": "deactivated"})))["status"], "deactivated")
    equal(me.order(order["url"])["status"], "invalid")
    n = name()
    me.issue([n], HTTP)
    at = me.new_order([n])["authorizations"][0]
    me.post(at, {"status": "deactivated"})
    equal(me.new_order([n])["status"], "pending", "a validation that was given back still counts")


# --- after it

def test_revocation__ACME_41__ACME_42__OCSP_11(i):
    me, stranger, heir = client(i), client(i), client(i)

    def pem(leaf):
        path = i.path(f"{leaf.serial_number}.pem")
        path.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
        return path

    n = name()
    leaf, key, _ = me.issue([n], HTTP)
    equal(i.ocsp(pem(leaf), issuer="servers"), "good")
    refused("unauthorized", 403, lambda: stranger.revoke(leaf))
    refused("unauthorized", 403, lambda: stranger.revoke(leaf, key=new_key()))
    for reason in (2, 6, 7, 8, 10, 11, -1):
        refused("badRevocationReason", 400, lambda: me.revoke(leaf, reason))
    equal(i.ocsp(pem(leaf), issuer="servers"), "good")
    me.revoke(leaf, 4)
    equal(i.ocsp(pem(leaf), issuer="servers"), "revoked", "OCSP does not know yet")
    refused("alreadyRevoked", 400, lambda: me.revoke(leaf))
    # By its own key.
    leaf, key, _ = me.issue([name()], HTTP)
    me.revoke(leaf, 1, key=key)
    equal(i.ocsp(pem(leaf), issuer="servers"), "revoked")
    try:  # that key is not certified again
        me.issue([name()], HTTP, csr=(make_csr([f"n{next(NUMBER) - 1}.ward.example"], key)[0], None))
        raise Failure("a compromised key was certified again")
    except (Problem, Failure) as p:
        check("was certified again" not in str(p), p)
    # By who holds valid authorizations for all its names.
    n, m = name(), name()
    leaf, _, _ = me.issue([n, m], HTTP)
    heir.authorized(heir.new_order([n]), HTTP)
    refused("unauthorized", 403, lambda: heir.revoke(leaf))
    heir.authorized(heir.new_order([m]), HTTP)
    heir.revoke(leaf, 5)
    equal(i.ocsp(pem(leaf), issuer="servers"), "revoked")
    # What is not ours.
    own = x509.CertificateBuilder().subject_name(leaf.subject).issuer_name(leaf.issuer).public_key(key.public_key()).serial_number(77)
    now = datetime.datetime.utcnow()
    own = own.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    try:
        me.revoke(own)
        raise Failure("a foreign certificate was revoked")
    except Problem as p:
        check(p.type in ("malformed", "unauthorized") and p.status in (400, 403, 404), p)


def test_renewal_information_and_replaces__ACME_43__ACME_44__ACME_45__QRK_06(i):
    me, other = client(i), client(i)
    n = name()
    leaf, _, _ = me.issue([n], HTTP)
    start, end, _ = me.renewal(leaf)
    life = leaf.not_valid_after - leaf.not_valid_before
    for at in (start, end):
        check(0.6 < (at - leaf.not_valid_before) / life < 0.95, "the window stands at", at)
    for bad, status in (("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE", 404), ("nonsense", 400), ("a.b.c", 400), ("aYhb=.AIdl", 400), (ari_id(leaf) + "=", 400)):
        p = None
        try:
            me.renewal(bad)
        except Problem as e:
            p = e
        equal(p and p.status, status, bad)
    refused("malformed", 400, lambda: me.new_order([n], replaces="nonsense"))
    for c, names, replaces in ((me, [name()], ari_id(leaf)), (other, [n], ari_id(leaf)), (me, [n], "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE")):
        try:
            c.new_order(names, replaces=replaces)
            raise Failure("replaces what it may not")
        except Problem as p:
            check(400 <= p.status < 500 and p.type in ("malformed", "unauthorized"), p)
    equal(other.renewal(leaf)[0], start, "the window moves")
    me.revoke(leaf, 4)
    start, end, _ = me.renewal(leaf)
    check(end < datetime.datetime.utcnow(), "revoked, and not due")
    second, _, order = me.issue([n], HTTP, replaces=ari_id(leaf))
    equal(order["replaces"], ari_id(leaf))
    refused("alreadyReplaced", 409, lambda: me.new_order([n], replaces=ari_id(leaf)))
    # An order that came to nothing does not hold the place.
    DNS.set("later.ward.example", "A", "127.0.0.1")
    third, _, _ = me.issue(["later.ward.example"], HTTP)
    at = me.new_order(["later.ward.example", "later2.ward.example"], replaces=ari_id(third))
    DNS.set("later2.ward.example", "A", "127.0.0.3")
    for a in at["authorizations"]:
        if me.authorization(a)["status"] == "pending":
            me.start(me.challenge(me.authorization(a), "http-01"))
            me.poll(me.authorization, a, ("invalid",))
    equal(me.new_order(["later.ward.example"], replaces=ari_id(third))["replaces"], ari_id(third))


# --- an instance that wants more

def test_terms_caa_and_limits__ACME_12__ACME_13__ACME_15__ACME_50__ACME_52():
    i = Instance("acme-strict", settings=[*SETTINGS, "acme.terms=https://hospital.example/terms", "acme.caa=on", "acme.caa_identity=pki.hospital.example",
                                          "acme.orders_per_minute=5", "acme.failures_per_hour=2"])
    try:
        me = Client(url(i), i.root)
        equal(me.directory["meta"]["termsOfService"], "https://hospital.example/terms")
        equal(me.directory["meta"]["caaIdentities"], ["pki.hospital.example"])
        kid = binding(i)
        p = refused("userActionRequired", 403, lambda: me.register(eab=kid, terms=False))
        equal(p.reply.link("terms-of-service"), ["https://hospital.example/terms"])
        me.register(eab=kid, status=201)
        me.issue([name()], HTTP)
        DNS.set("caa.ward.example", "A", "127.0.0.1")
        DNS.set("caa.ward.example", "CAA", (0, "issue", "letsencrypt.org"))
        failed(me, ["caa.ward.example"], "http-01", ("caa",))
        DNS.set("caa.ward.example", "CAA", (0, "issue", "letsencrypt.org"), (0, "issue", "pki.hospital.example"))
        me.issue(["caa.ward.example"], HTTP)
        DNS.set("caa.ward.example", "CAA", (128, "unknown", "x"), (0, "issue", "pki.hospital.example"))
        other = Client(url(i), i.root)
        other.register(eab=binding(i), status=201)
        failed(other, ["caa.ward.example"], "http-01", ("caa",))
        # The third failure of the name by the account; the orders of a minute.
        DNS.set("closed2.ward.example", "A", "127.0.0.3")
        third = Client(url(i), i.root)
        third.register(eab=binding(i), status=201)
        for _ in range(2):
            failed(third, ["closed2.ward.example"], "http-01", ("connection",))
        refused("rateLimited", 429, lambda: failed(third, ["closed2.ward.example"], "http-01", ("connection",)))
        fourth = Client(url(i), i.root)
        fourth.register(eab=binding(i), status=201)
        n = name()
        leaf, _, _ = fourth.issue([n], HTTP)
        for _ in range(4):
            fourth.new_order([name()])
        p = refused("rateLimited", 429, lambda: fourth.new_order([name()]))
        check(0 < int(p.reply.get("Retry-After")) <= 60, p.reply.headers)
        equal(fourth.new_order([n], replaces=ari_id(leaf))["status"], "ready", "a renewal is limited")
        equal(third.new_order([name()])["status"], "pending", "another account is limited, too")
        equal(i.stop(), 0)
    finally:
        i.close()


# --- random walks

def walk(i, seed, steps, errors, done):
    """One client that does what clients may do, and some things that they may not, in any order; its own judge (acme_client)
    looks at every state on the way."""
    r = random.Random(seed)
    orders, c = [], client(i)

    def act():
        what = r.random()
        if not orders or what < 0.12:
            names = [f"r{seed}-{r.randrange(10**9)}.ward.example" for _ in range(r.choice((1, 1, 1, 2, 5)))]
            orders.append([c.new_order(names), names])
            return
        row = r.choice(orders[-4:] if r.random() < 0.8 else orders)
        order, names = row
        if what < 0.2:
            row[0] = c.order(order["url"])
        elif what < 0.7:
            at = r.choice(order["authorizations"])
            a = c.authorization(at)
            if a["status"] == "pending":
                kind = r.choice(("http-01", "http-01", "tls-alpn-01", "dns-01"))
                ch = c.challenge(a, kind)
                if r.random() < 0.9:
                    {"http-01": HTTP, "tls-alpn-01": ALPN, "dns-01": ONLY_DNS}[kind].answer(kind, a["identifier"]["value"], ch["token"], c.key_authorization(ch))
                c.start(ch)
        elif what < 0.73:
            at = r.choice(order["authorizations"])
            c.authorization_seen(at, c.document(c.post(at, {"status": "deactivated"})))
        elif what < 0.97:
            before = order["status"]
            row[0] = c.finalize(order, make_csr(names)[0])
            check(before in ("pending", "ready"), "finalized from", before)
            if row[0]["status"] == "valid":
                leaf = c.certificate(row[0])[0][0]
                done.append((names, leaf))
        else:
            c.key_change(new_key())
    for step in range(steps):
        try:
            act()
        except Problem as p:
            if p.type not in ("orderNotReady", "malformed", "unauthorized", "rateLimited"):
                errors.append((seed, step, str(p)))
        except Exception as e:
            errors.append((seed, step, repr(e)))
    # Every order by what its authorizations are (RFC 8555, 7.1.6).
    for order, names in orders:
        try:
            for at in order["authorizations"]:
                c.poll(c.authorization, at, ("pending", "valid", "invalid", "deactivated"))
            order = c.order(order["url"])
            states = [c.authorization(at)["status"] for at in order["authorizations"]]
            if all(s == "valid" for s in states):
                check(order["status"] in ("ready", "valid"), order["status"], states)
            elif "invalid" in states:
                check(order["status"] == "invalid", order["status"], states)
            elif order["status"] not in ("valid", "invalid"):
                equal(order["status"], "pending", states)
        except Exception as e:
            errors.append((seed, "end", repr(e)))


def test_random_walks__ACME_26__ACME_27__ACME_28(i):
    errors, done = [], []
    walkers, steps = (12, 600) if LONG else (6, 100)
    threads = [threading.Thread(target=walk, args=(i, SEED * 100 + k, steps, errors, done)) for k in range(walkers)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check(not errors, f"seed {SEED}:", errors[:3])
    serials = [leaf.serial_number for _, leaf in done]
    equal(len(set(serials)), len(serials), "a serial was given twice")
    rows = {c["serial"] for c in i.certificates()}
    for s in serials:
        check(f"{s:x}".rjust(2, "0") in rows or f"0{s:x}" in rows, f"{s:x} is in a client's hand, and not in the database")
    print(f"  seed {SEED}: {walkers} clients, {walkers * steps} acts, {len(done)} certificates", flush=True)


# --- kills

def persist(act, seconds=40):
    """As a client does: again after a cut connection, a 503, a lost nonce."""
    end = time.monotonic() + seconds
    while True:
        try:
            return act()
        except (OSError, http.client.HTTPException):
            pass
        except Problem as p:
            if p.status not in (500, 503) or p.status == 500 and "internal" not in p.type.lower():
                raise
        check(time.monotonic() < end, "it does not come back")
        time.sleep(0.05)


STEPS = ("newOrder", "authorization", "challenge", "poll", "finalize", "certificate")


def order_with(c, names, before, responder=HTTP):
    """A whole order, before(step) ahead of each; a step that is lost is asked again as a client would."""
    before("newOrder")
    order = persist(lambda: c.new_order(names))
    for at in order["authorizations"]:
        before("authorization")
        a = persist(lambda: c.authorization(at))
        if a["status"] == "pending":
            ch = c.challenge(a, "http-01")
            responder.answer("http-01", a["identifier"]["value"], ch["token"], c.key_authorization(ch))
            before("challenge")
            persist(lambda: c.start(ch))
        before("poll")
        a = persist(lambda: c.poll(c.authorization, at, ("valid", "invalid"), 100), 140)
        equal(a["status"], "valid", a)
    der = make_csr(names, cn=names[0])[0]
    before("finalize")

    def finalize():
        now = c.order(order["url"])
        if now["status"] == "ready":
            now = c.finalize(order, der)
        if now["status"] == "processing":
            now = c.poll(c.order, order["url"], ("valid", "invalid"))
        return now
    done = persist(finalize)
    equal(done["status"], "valid", done)
    before("certificate")
    (leaf, *_), text = persist(lambda: c.certificate(done))
    return leaf, done


def certificates_named(i):
    """name -> how many certificates have it, from the database."""
    found = {}
    for c in i.certificates():
        m = re.search(r"CN=([^,]+)", c["subject"])
        if m:
            found[m.group(1)] = found.get(m.group(1), 0) + 1
    return found


def kill(i, role):
    pid = i.roles().get(role)
    if pid:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def one_each(i, issued):
    """Nothing lost, nothing doubled."""
    def serials(leaf):
        text = f"{leaf.serial_number:x}"
        return text if len(text) % 2 == 0 else "0" + text
    rows = i.certificates()
    known = {c["serial"] for c in rows}
    for names, leaf in issued:
        check(serials(leaf) in known, "in a client's hand, and not in the database:", names)
    held = certificates_named(i)
    for names, leaf in issued:
        equal(held.get(names[0]), 1, names, "certificates")
    i.cli("audit", "verify")


def test_kill_between_all_steps__ACME_26__ACME_38(i):
    me, issued = client(i), []
    for role in ("ra", "ca", "probe", "front"):
        for step in STEPS:
            n = [name()]

            def before(now, step=step, role=role):
                if now == step:
                    kill(i, role)
            leaf, order = order_with(me, n, before)
            issued.append((n, leaf))
    one_each(i, issued)
    wait_for("status", lambda: i.cli("status", code=None).returncode == 0, 30)


def test_kill_at_random_moments__ACME_26(i):
    stop, issued, errors = threading.Event(), [], []
    r = random.Random(SEED)

    def work(c):
        try:
            while not stop.is_set():
                n = [name()]
                leaf, _ = order_with(c, n, lambda step: None)
                issued.append((n, leaf))
        except Exception as e:
            errors.append(repr(e))
    threads = [threading.Thread(target=work, args=(client(i),)) for _ in range(4)]
    for t in threads:
        t.start()
    try:
        for round_ in range(60 if LONG else 8):
            for role in ("ra", "ca", "probe", "front"):
                time.sleep(r.uniform(0.05, 0.6))
                kill(i, role)
            before = len(issued)
            wait_for("orders to go on", lambda: len(issued) > before + 1 or errors, 60)
    finally:
        stop.set()
        for t in threads:
            t.join(120)
    check(not errors, f"seed {SEED}:", errors[:3])
    one_each(i, issued)
    print(f"  {len(issued)} orders over the kills", flush=True)


# --- time

def test_lifetimes_by_the_clock__ACME_26__ACME_53():
    from faults import Shimmed
    day = 86400
    i = Shimmed("acme-clock", settings=SHARED)
    try:
        me = client(i)
        n = name()
        leaf, _, order = me.issue([n], HTTP)
        pending = me.new_order([name()])
        ready = me.authorized(me.new_order([name()]), HTTP)
        equal(ready["status"], "ready")

        def at(seconds):
            since = len(i.log_text())
            i.set(CLOCK_US=seconds * 1000000)
            wait_for("the step to be said", lambda: "ALARM: the clock was stepped" in i.log_text()[since:], 10)
            time.sleep(1)
        at(2 * 3600)
        a = me.authorization(pending["authorizations"][0])
        check(a["status"] in ("expired", "invalid"), "a challenge of two hours ago may be answered:", a["status"])
        equal(me.order(pending["url"])["status"], "invalid")
        equal(me.new_order([n])["status"], "ready", "an authorization of two hours ago does not count")
        at(2 * day)
        equal(me.new_order([n])["status"], "pending", "an authorization of two days ago counts")
        at(8 * day)
        try:
            equal(me.order(ready["url"])["status"], "invalid")
        except Problem as p:
            equal(p.status, 404)
        refused_types = ("orderNotReady", "malformed")
        try:
            me.finalize(ready, make_csr([ready["identifiers"][0]["value"]])[0])
            raise Failure("an order of eight days ago is finalized")
        except Problem as p:
            check(p.type in refused_types, p)
        me.certificate(order)
        check("http-01" in str(i.json("audit", "show")), "no evidence of validations in the audit")
        at(0)
        me.issue([name()], HTTP)
        equal(i.stop(), 0)
    finally:
        i.close()


# --- all of them

REACHABLE = [("accountDoesNotExist", 400), ("alreadyRevoked", 400), ("badCSR", 400), ("badNonce", 400), ("badPublicKey", 400),
             ("badRevocationReason", 400), ("badSignatureAlgorithm", 400), ("invalidContact", 400), ("unsupportedContact", 400), ("malformed", 400),
             ("unsupportedIdentifier", 400), ("rejectedIdentifier", 400), ("invalidProfile", 400), ("unauthorized", 403), ("unauthorized", 401),
             ("externalAccountRequired", 403), ("orderNotReady", 403), ("userActionRequired", 403), ("alreadyReplaced", 409), ("rateLimited", 429),
             ("connection", "challenge"), ("dns", "challenge"), ("tls", "challenge"), ("caa", "challenge")]


def test_zz_every_error_was_met__ACME_12__ACME_13():
    if len(sys.argv) > 1:
        return
    equal([e for e in REACHABLE if e not in MET], [], "no test meets these")
    check(("unauthorized", "challenge") in MET or ("incorrectResponse", "challenge") in MET, MET)


if __name__ == "__main__":
    # They wait more than they do: once, on the release build, is enough for a day's run.
    waits = ("test_silent_server", "test_list_of_250", "test_kill_at_random") if SANITIZED and not LONG else ()
    main({n: f for n, f in globals().items() if not any(n.startswith(w) for w in waits)}, settings=SHARED)
