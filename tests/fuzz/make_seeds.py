#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the first inputs of the targets that need well-formed ones: tests/fuzz/make_seeds.py [FOLDER]. They are kept in
corpus/; this says how they came about, and makes them again when a format has changed."""
import atexit
import base64
import hashlib
import io
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "corpus")
WORK = pathlib.Path(tempfile.mkdtemp())
atexit.register(shutil.rmtree, WORK)


def run(*argv, data=None):
    return subprocess.run([str(a) for a in argv], check=True, input=data, capture_output=True).stdout


def keep(target, name, data):
    (OUT / target).mkdir(parents=True, exist_ok=True)
    (OUT / target / name).write_bytes(data)


# --- DER
def tlv(tag, *content):
    body = b"".join(content)
    n = len(body)
    size = bytes([n]) if n < 128 else bytes([0x80 | (n.bit_length() + 7) // 8]) + n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes([tag]) + size + body


def oid(text):
    arcs = [int(a) for a in text.split(".")]
    out = b""
    for a in [arcs[0] * 40 + arcs[1], *arcs[2:]]:
        part = [a & 127]
        while a > 127:
            a >>= 7
            part.insert(0, a & 127 | 128)
        out += bytes(part)
    return tlv(6, out)


# --- Requests and certificates of every kind of key
KINDS = {"p256": ["EC", "ec_paramgen_curve:P-256"], "p384": ["EC", "ec_paramgen_curve:P-384"], "p521": ["EC", "ec_paramgen_curve:P-521"],
         "ed25519": ["ED25519", None], "rsa2048": ["RSA", "rsa_keygen_bits:2048"], "rsa3072": ["RSA", "rsa_keygen_bits:3072"]}
SAN = "DNS:pump-7.ward.example,DNS:*.ward.example,IP:192.0.2.1,IP:2001:db8::1,email:a@b.example,URI:https://h.example:1/p," \
      "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:user@ward.example"
SUBJECT = "/C=DE/ST=Hessen/L=Fulda/O=St. Hedwig/OU=Intensiv/CN=pümp-7/serialNumber=77/emailAddress=a@b.example/DC=example"
CONFIG = """[req]
distinguished_name=d
[d]
[all]
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature,keyEncipherment
extendedKeyUsage=clientAuth,1.3.6.1.5.5.7.3.14
subjectAltName=%s
certificatePolicies=1.3.6.1.4.1.32473.1
subjectKeyIdentifier=hash
[authority]
basicConstraints=critical,CA:TRUE,pathlen:0
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid:always
nameConstraints=critical,permitted;DNS:ward.example,excluded;IP:10.0.0.0/255.0.0.0,permitted;email:b.example
[asks]
basicConstraints=critical,CA:TRUE,pathlen:0
keyUsage=critical,keyCertSign,cRLSign
nameConstraints=critical,permitted;DNS:ward.example
policyConstraints=requireExplicitPolicy:3
[strange]
subjectAltName=dirName:dir,RID:1.2.3.4,otherName:1.2.3.4;UTF8:x,DNS:a.example
[dir]
CN=inside
[atts]
challengePassword=secret
unstructuredName=other
[withatts]
distinguished_name=d
attributes=atts
prompt=no
""" % SAN
(WORK / "c.cnf").write_text(CONFIG)
# The key that the mutator of diff_csr signs anew with: 32 octets 07.
(WORK / "own.key").write_bytes(run("openssl", "pkey", "-inform", "DER", data=bytes.fromhex("302e020100300506032b657004220420") + b"\7" * 32))


def request(key, *extra, subject=SUBJECT, config="c.cnf"):
    return run("openssl", "req", "-new", "-utf8", "-key", key, "-subj", subject, "-outform", "DER", "-config", WORK / config, *extra)


def certificate(key, extensions, subject="/CN=self", days="700", serial="0x00F1020304"):
    return run("openssl", "req", "-x509", "-utf8", "-key", key, "-subj", subject, "-config", WORK / "c.cnf", "-extensions", extensions,
               "-days", days, "-set_serial", serial, "-outform", "DER")


certs = {}
for kind, (algorithm, option) in KINDS.items():
    key = WORK / f"{kind}.key"
    run("openssl", "genpkey", "-algorithm", algorithm, *(["-pkeyopt", option] if option else []), "-out", key)
    keep("diff_csr", f"{kind}-all", request(key, "-reqexts", "all"))
    certs[kind] = certificate(key, "all", SUBJECT)
    keep("diff_cert", f"{kind}-all", certs[kind])
    keep("spki", f"{kind}-seed", run("openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"))
keep("diff_csr", "own", request(WORK / "own.key", "-reqexts", "all"))
keep("diff_csr", "own-plain", request(WORK / "own.key", subject="/CN=pump"))
keep("diff_csr", "own-authority", request(WORK / "own.key", "-reqexts", "asks"))
keep("diff_csr", "own-strange", request(WORK / "own.key", "-reqexts", "strange"))
keep("diff_csr", "own-atts", run("openssl", "req", "-new", "-key", WORK / "own.key", "-subj", "/CN=pump", "-outform", "DER", "-config",
                                 WORK / "c.cnf", "-section", "withatts", "-reqexts", "all"))
keep("diff_csr", "own-latin", run("openssl", "req", "-new", "-key", WORK / "own.key", "-subj", "/CN=p\xfcmp/O=x", "-outform", "DER", "-config",
                                  WORK / "c.cnf", "-nameopt", "utf8"))
authority = certificate(WORK / "p256.key", "authority", "/CN=ca", "4000", "0x1234")
keep("diff_cert", "authority", authority)
keep("diff_cert", "strange", certificate(WORK / "ed25519.key", "strange"))
keep("diff_cert", "plain-2050", certificate(WORK / "ed25519.key", "all", "/CN=late", "12000", "0x7f"))

# --- OCSP
source = (pathlib.Path(__file__).parent / "va_authority.h").read_text()
known = bytes(int(h, 16) for h in re.findall(r"0x([0-9a-f]{2})", source))
(WORK / "known.der").write_bytes(known)
(WORK / "known.pem").write_bytes(run("openssl", "x509", "-inform", "DER", "-in", WORK / "known.der"))


def ocsp(*argv):
    run("openssl", "ocsp", "-issuer", WORK / "known.pem", *argv, "-reqout", WORK / "q.der")
    return (WORK / "q.der").read_bytes()


questions = {"sha1-nonce": ocsp("-serial", "1"), "sha1": ocsp("-serial", "1", "-no_nonce"), "zero": ocsp("-serial", "0", "-no_nonce"),
             "sha256": ocsp("-sha256", "-serial", "0x4001020304050607080910111213141516", "-no_nonce"),
             "sha384": ocsp("-sha384", "-serial", "2", "-no_nonce"), "sha512": ocsp("-sha512", "-serial", "2", "-no_nonce"),
             "md5": ocsp("-md5", "-serial", "2", "-no_nonce"), "negative": ocsp("-serial", "-5", "-no_nonce"),
             "long": ocsp("-serial", "0x01" + "02" * 22, "-no_nonce"), "three": ocsp("-serial", "1", "-serial", "2", "-serial", "0x80")}
(WORK / "signer.pem").write_bytes(run("openssl", "x509", "-inform", "DER", data=certs["p256"]))
questions["signed"] = ocsp("-serial", "1", "-signer", WORK / "signer.pem", "-signkey", WORK / "p256.key")
for name, der in questions.items():
    keep("diff_ocsp", name, der)


# --- Frames, and steps of the roles
def step(what, data=b""):
    return bytes([what]) + struct.pack(">H", len(data)) + data


def text(s):
    return struct.pack(">I", len(s)) + s.encode()


def span(b):
    return struct.pack(">I", len(b)) + b


def gen(name, n=1):
    return text(name) + struct.pack(">I", n)


def entry(ref, serial, state=0, reason=0, seq=1):  # as crl/status.c has it
    return struct.pack(">I", ref) + span(serial) + bytes([state, reason]) + struct.pack(">qqQ", 0, 1900000000 * 10**6, seq)


NOW = 1900000000 * 10**6
DAY = 86400 * 10**6
answer = bytes.fromhex("30030a0106")
tail = step(1, struct.pack(">Q", 5) + entry(1, b"\1")) + step(1, struct.pack(">Q", 6) + entry(1, b"\1", 1, 1, 6))
told = struct.pack(">Q", 6)
keep("va_role", "revoked", tail + step(4, questions["sha1"]) + step(7, answer) + step(4, questions["sha1"]))
keep("va_role", "nonce", tail + step(4, questions["sha1-nonce"]) + step(7, answer))
keep("va_role", "unknown", tail + step(4, questions["sha256"]) + step(8, told) + step(7, answer))
keep("va_role", "three", tail + step(4, questions["three"]) + step(8, told) + step(9, b"\1" + struct.pack(">I", 1) + text("no")))
keep("va_role", "late", tail + step(4, questions["negative"]) + step(10) + step(2, told))
keep("va_role", "get", tail + step(5, base64.b64encode(questions["sha1"]).replace(b"/", b"%2F")) + step(7, answer))
keep("va_role", "files", b"".join(step(6, p) for p in (b"ca/devices/1.cer", b"ca/devices.pem", b"ca/devices/1.p7c", b"crl/devices/1.crl",
                                                      b"crl/devices.crl", b"readyz", b"ca/none.cer")))
keep("va_role", "authority", step(0, struct.pack(">I", 2) + gen("servers") + b"\1" + span(known) + span(b"") + b"\1" +
                                  struct.pack(">qq", NOW + DAY, DAY) + b"\0") + step(6, b"ca/servers/1.cer") +
     step(3, gen("devices") + b"\1" + struct.pack(">Qqq", 1, NOW, NOW + DAY)))

csr = request(WORK / "own.key", subject="/CN=pump-1")
single = tlv(0x30, tlv(0x30, oid("1.3.14.3.2.26"), tlv(5)), tlv(4, b"\1" * 20), tlv(4, b"\2" * 20), tlv(2, b"\1"))


def issue(digest, csr, serial=b"\x41" + b"\2" * 15):
    return digest + gen("devices") + span(serial) + struct.pack(">qq", NOW, NOW + 89 * DAY) + b"\1\1" + text("pump-1") + \
        struct.pack(">H", 1) + b"\1" + span(b"pump-1") + struct.pack(">I", 0) + span(csr)


CA = {"STATE": 0, "PROFILE_PUT": 1, "AUTHORITY_PUT": 2, "RESPONDER_PUT": 3, "AUTHORITY_CREATE": 4, "RESPONDER_CREATE": 5, "ISSUE": 6,
      "CRL_BEGIN": 7, "CRL_ENTRIES": 8, "CRL_END": 9, "OCSP": 10, "HSM_LIST": 11, "HSM_TEST": 12}
crl_entry = span(b"\5") + struct.pack(">q", NOW) + b"\1"
crl_size = 2 + 3 + 15 + 14
crl = step(CA["CRL_BEGIN"], gen("devices") + struct.pack(">QqqQQ", 1, NOW, NOW + DAY, 1, crl_size)) + step(CA["CRL_ENTRIES"], crl_entry) + \
    step(CA["CRL_END"])
keep("ca_role", "crl", crl)
keep("ca_role", "crl-empty", step(CA["CRL_BEGIN"], gen("root") + struct.pack(">QqqQQ", 1, NOW, NOW + DAY, 0, 0)) + step(CA["CRL_END"]))
keep("ca_role", "state", step(0) + step(11) + step(12) + step(128) + step(128 + 6))
keep("ca_role", "issue", step(CA["ISSUE"], issue(b"P" * 32, csr)))
keep("ca_role", "ocsp", b"".join(step(p + CA["OCSP"], gen("devices") + struct.pack(">qqq", NOW, NOW, NOW + DAY // 3) + span(b"") + b"\0\1" +
                                      span(single) + b"\0" + struct.pack(">q", 0) + b"\0") for p in (0, 128)))
keep("ca_role", "create-no-oid", step(CA["AUTHORITY_CREATE"], gen("more") + gen("root") + text("ecdsa-p256") + span(b"\x41" + b"\3" * 15) +
                                      b"\1\1" + text("more") + struct.pack(">qqI", NOW, NOW + 300 * DAY, 0) + struct.pack(">I", 1) +
                                      text("1.3.x") + span(b"")))
keep("ca_role", "create", step(CA["AUTHORITY_CREATE"], gen("more") + gen("root") + text("ecdsa-p256") + span(b"\x41" + b"\3" * 15) + b"\1\1" +
                               text("more") + struct.pack(">qqI", NOW, NOW + 300 * DAY, 0) + struct.pack(">I", 1) +
                               text("1.3.6.1.5.5.7.3.2") + span(b"")))


def record(**fields):
    out = b""
    for name, v in fields.items():
        kind = 3 if isinstance(v, bool) else 2 if isinstance(v, int) else 4 if isinstance(v, bytes) else 1
        out += bytes([kind, len(name)]) + name.encode()
        out += struct.pack(">q", v) if kind in (2, 3) else span(v if kind == 4 else v.encode())
    return out


keep("ra_role", "enroll", step(4, csr) + step(4, csr))
keep("ra_role", "enroll-lost", step(8, bytes([2])) + step(4, csr) + step(8, bytes([2 + 4])) + step(7) + step(7))
keep("ra_role", "enroll-refused", step(6, b"\x0f" + struct.pack(">I", 0) + text("no")) + step(4, csr) + step(7))
keep("ra_role", "enroll-other", step(5, span(authority)) + step(4, csr) + step(7))
keep("ra_role", "ca-lies", step(5, b"\0" * 40) + step(4, csr) + step(9, b"\7") + step(7))
for verb in range(40):
    keep("ra_role", f"verb-{verb}", step(3, bytes([verb]) + record(name="pump", serial="41", ca="devices", profile="device")) + step(7))
keep("ra_role", "va", step(2, b"\1") + step(2, b"\6") + step(2, b"\7" + struct.pack(">Q", 9)) + step(2, b"\x08m 1\n") + step(7))
keep("ra_role", "time", step(9, b"\x20") + step(7) + step(9, b"\xff") + step(7) + step(7))
for kind in range(12):
    keep("ra_role", f"front-{kind}", step(0, bytes([kind])) + step(1, bytes([kind])) + step(7))

keep("front_answers", "enrolled", b"\0\0" + span(certs["p256"]) + b"\0\1" + span(authority))
keep("front_answers", "refused", b"\0\2" + b"\5" + struct.pack(">I", 3) + text("no"))
rows = record(name="pump", uses=1, ok=True, der=b"\1\2")
keep("front_answers", "rows", b"\1\0" + text("devices") + b"\1" + text("pump") + struct.pack(">I", 2) + span(span(rows) * 2))
keep("front_answers", "row", b"\1\0" + text("device") + b"\0" + text("") + struct.pack(">I", 1) + span(span(rows)))
keep("front_answers", "health", b"\2\0\1\1" + text("database") + b"\1" + text("fine \"x\"\n"))
keep("front_answers", "metrics", b"\3\0caduceus_up 1\n")
keep("front_answers", "trust", b"\4\0" + struct.pack(">III", 1, 1, 1) + span(authority) + span(certs["p384"]) + text("device"))

# --- Texts
keep("http_head", "post", b"/.well-known/est/simpleenroll\nHost: a\nContent-Length: 5\nContent-Type: application/pkcs10\nAuthorization: Basic YTpi\n")
keep("http_head", "chunked", b"/ocsp\nHost: a\nTransfer-Encoding: chunked\nIf-None-Match: \"x\"\n")
keep("http_head", "two-lengths", b"/ocsp\nHost: a\nContent-Length: 5\nContent-Length: 6\n")
keep("http_head", "both", b"/ocsp\nHost: a\nContent-Length: 5\nTransfer-Encoding: chunked\n")
keep("http_head", "folded", b"/ocsp\nHost: a\n Content-Length : 5\n")
keep("control", "channel", bytes([1]) + b"ca".ljust(32, b"\0"))
keep("control", "no-end", bytes([6]) + b"x" * 32)
keep("control", "frame", struct.pack(">HHIQq", 32, 0, 0, 7, 0) + b"body")
for name, pin in {"plain": b"12345678\n", "crlf": b"1234\r\n", "empty": b"\n", "long": b"1" * 80, "nul": b"12\00034"}.items():
    keep("pin", name, pin)


def tar(members, manifest=True, mode=tarfile.USTAR_FORMAT):
    out = io.BytesIO()
    t = tarfile.open(fileobj=out, mode="w", format=mode)
    listed = ",".join('{"name":"%s","size":%d,"sha256":"%s"}' % (n, len(b), hashlib.sha256(b).hexdigest()) for n, b in members.items())
    if manifest:
        members = {"manifest.json": ('{"format":1,"instance":"x","files":[%s]}' % listed).encode(), **members}
    for n, b in members.items():
        info = tarfile.TarInfo(n)
        info.size = len(b)
        t.addfile(info, io.BytesIO(b))
    t.close()
    return out.getvalue().rstrip(b"\0") + b"\0" * 1024


keep("backup", "good", tar({"caduceus.db": b"d", "caduceus.yaml": b"y", "trust/root.pem": b"r"}))
keep("backup", "pax", tar({"caduceus.db": b"d", "profiles/x.yaml": b"y"}, mode=tarfile.PAX_FORMAT))
keep("backup", "gnu", tar({"caduceus.db": b"d", "crl/a-1.crl": b"y"}, mode=tarfile.GNU_FORMAT))
keep("backup", "outside", tar({"caduceus.db": b"d", "trust/../../x.pem": b"y"}))
keep("backup", "absolute", tar({"caduceus.db": b"d", "/tmp/x.pem": b"y"}))
keep("backup", "no-manifest", tar({"caduceus.db": b"d"}, manifest=False))

# --- What probe meets outside
def dns(question, kind, *records, rcode=0, answers=None):
    return struct.pack(">HHHHHH", 7, 0x8180 | rcode, 1, len(records) if answers is None else answers, 0, 0) + dns_name(question) + \
        struct.pack(">HH", kind, 1) + b"".join(records)


def dns_name(text):
    return b"".join(bytes([len(p)]) + p.encode() for p in text.split(".")) + b"\0"


def rr(owner, kind, rdata):
    return owner + struct.pack(">HHIH", kind, 1, 60, len(rdata)) + rdata


def caa(flags, tag, value):
    return rr(b"\xc0\x0c", 257, bytes([flags, len(tag)]) + tag + value)


POINT = b"\xc0\x0c"
keep("probe_dns", "a", dns("a.test", 1, rr(POINT, 1, b"\x0a\0\0\1")))
keep("probe_dns", "aaaa", dns("a.test", 28, rr(POINT, 28, b"\xfd" + b"\0" * 15)))
keep("probe_dns", "txt", dns("a.test", 16, rr(POINT, 16, b"\3one"), rr(POINT, 16, b"\3two\4more")))
keep("probe_dns", "cname", dns("a.test", 16, rr(POINT, 5, dns_name("b.test")), rr(dns_name("B.test"), 16, b"\1x")))
keep("probe_dns", "loop", dns("a.test", 16, rr(POINT, 5, dns_name("b.test")), rr(dns_name("b.test"), 5, POINT)))
keep("probe_dns", "nxdomain", dns("a.test", 16, rcode=3))
keep("probe_dns", "self-pointer", dns("a.test", 1, rr(b"\xc0\x18", 1, b"\x0a\0\0\1")))
keep("probe_dns", "too-few", dns("a.test", 1, rr(POINT, 1, b"\x0a\0\0\1"), answers=9))
keep("probe_dns", "caa", dns("a.test", 257, caa(0, b"issue", b"ca.test; accounturi=https://ca.test/1; validationmethods=dns-01,http-01"),
                             caa(0, b"issuewild", b";"), caa(0, b"iodef", b"mailto:a@b.test")))
keep("probe_dns", "caa-critical", dns("a.test", 257, caa(128, b"tbs", b"x")))
keep("probe_dns", "caa-odd", dns("a.test", 257, caa(0, b"issue", b" ; ;; a=b; c"), caa(0, b"issue", b"")))
for name, url in {"plain": "http://a.test/x", "tls": "https://a.test:443/", "v6": "http://[fd00::1]:80/", "number": "http://2852039166/",
                  "hex": "http://0xa9.0xfe.0xa9fe/", "user": "http://u:p@a.test/", "file": "file:///etc/passwd", "zone": "http://[fe80::1%25eth0]/",
                  "escaped": "http://%31%32%37.0.0.1/", "port": "http://a.test:22/"}.items():
    keep("probe_http", name, url.encode())
keep("probe_http", "body", b"token.thumb \r\n")
keep("probe_http", "other-account", b"token.other")
for name, words in {"private": "private", "public": "private public", "named": "127.0.0.0/8 169.254.169.254/32 ::1/128", "bad": "10.0.0.1/8"}.items():
    keep("fence", name, words.encode() + b"\0" + bytes(15) + b"\1" + bytes(10) + b"\xff\xff\xa9\xfe\xa9\xfe" + b"\0d\xff\x9b" + bytes(8) +
         b"\x7f\0\0\1" + b"\x20\2\x0a\0\0\1" + bytes(10) + b"\xfe\x80" + bytes(14) + b"\xfd\0\x0e\xc2" + bytes(10) + b"\2\x54")
ALPN = """[req]
distinguished_name=d
prompt=no
x509_extensions=e
[d]
CN=challenge
[e]
subjectAltName=%s
1.3.6.1.5.5.7.1.31=%s
"""
DIGEST = "DER:0420" + "01020304" + "00" * 28
for name, san, value in (("good", "DNS:a.test", "critical," + DIGEST), ("ip", "IP:10.0.0.1", "critical," + DIGEST), ("two", "DNS:a.test,DNS:b.test", "critical," + DIGEST),
                         ("not-critical", "DNS:a.test", DIGEST), ("short", "DNS:a.test", "critical,DER:041f" + "01" * 31)):
    (WORK / "alpn.cnf").write_text(ALPN % (san, value))
    keep("probe_alpn", name, run("openssl", "req", "-x509", "-config", WORK / "alpn.cnf", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                                 "-keyout", "/dev/null", "-days", "9", "-outform", "DER"))


# ACME: a question of the account (first octet: the operation), and what probe says.
def ask(op, number=0, method=0, names=(), rest=b""):
    return step(10, bytes([op, number, method, len(names)]) + b"".join(b"\1" + text(n) for n in names) + rest)


acme_csr = run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", WORK / "acme.pem",
               "-subj", "/", "-addext", "subjectAltName=DNS:a.example", "-outform", "DER")
ORDER, END, START, FINALIZE, CERTIFICATE, REVOKE, INFO = 7, 10, 12, 13, 14, 15, 16
ready = ask(ORDER, names=["a.example"]) + ask(START, 1, 1) + step(11, b"\0")
keep("ra_role", "acme-order", ready + ask(FINALIZE, 1, rest=acme_csr) + step(7) + ask(CERTIFICATE, 1) + ask(REVOKE, rest=acme_csr) +
     ask(INFO, rest=b"aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"))
keep("ra_role", "acme-refused", ask(ORDER, names=["a.example", "*.b.example"]) + ask(START, 1, 2) + step(11, b"\4") + ask(END, 1))
keep("ra_role", "acme-again", ask(ORDER, names=["a.example"]) + ask(START, 1, 1) + step(11, b"\x81") + step(9, b"\1") + step(11, b"\x81") +
     step(11, b"\x0f\0"))
keep("ra_role", "acme-lost", ready + step(8, bytes([2])) + ask(FINALIZE, 1, rest=acme_csr) + step(8, bytes([2 + 5])) + step(7) + step(9, b"\3"))
keep("ra_role", "acme-probe-away", step(8, bytes([4])) + ask(ORDER, names=["a.example"]) + ask(START, 1, 3) + step(8, bytes([4 + 5])) + step(7))
for op in range(17):
    keep("ra_role", f"acme-{op}", ask(op, 1, 1, ["a.example"], acme_csr))
