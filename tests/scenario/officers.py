#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The command line as a PKI officer uses it, with the mistakes that people make."""
import base64
import json
import time
import threading
import socket
import signal
import os
import re
import shutil
import sqlite3
import subprocess
import urllib.request

from dns_server import DnsServer
from harness import BUILD, wait_for, Failure, Instance, check, equal, main, run


def test_device_life(i):
    added = i.device("cart-1", "--owner", "Cardiology", "--ward", "3 West", "--tag", "model=MAC5", "--san",
                     "dns:cart-1.ward3.example")
    for member in ("name", "password", "est_url", "expires", "root_sha256"):
        check(added.get(member), member, added)
    check(re.fullmatch(r"[0-9a-fA-F:]{64,95}", added["root_sha256"]), added["root_sha256"])
    check(re.match(r"\d{4}-\d\d-\d\dT", added["expires"]), added["expires"])
    shown = i.json("device", "show", "cart-1")
    equal(shown["ward"], "3 West")
    check("dns:cart-1.ward3.example" in shown["san"], shown)
    check("cart-1" in [d["name"] for d in i.json("device", "list")["devices"]])
    twice = i.cli("device", "add", "CART-1", code=1)
    check("exists" in twice.stderr, twice.stderr)
    text = i.cli("device", "add", "cart-2").stdout
    check("curl" in text and "--cacert" in text and "cart-2" in text, text)


def test_acme_keys__ACME_19(i):
    added = i.json("acme", "eab", "add", "ehr.example", "--san", "dns:*.ehr.example", "--uses", "2", "--valid", "90d")
    equal(len(base64.urlsafe_b64decode(added["hmac_key"] + "=")), 32, added)
    equal(len(added["hmac_key"]), 43, added)
    check(added["kid"] and added["directory"].endswith("/acme/server/directory"), added)
    check(re.fullmatch(r"[0-9a-f]{64}", added["root_sha256"]), added)
    check("exists" in i.cli("acme", "eab", "add", "EHR.example", code=1).stderr)
    i.cli("acme", "eab", "add", "x", "--profile", "nonsense", code=3)
    i.cli("acme", "eab", "add", "x", "--profile", "device", code=1)
    i.cli("acme", "eab", "add", "x", "--san", "nonsense", code=2)
    i.cli("acme", "eab", "add", "x", "--uses", "-1", code=2)
    for words in (("acme",), ("acme", "eab"), ("acme", "eab", "remove", "x"), ("acme", "account"), ("acme", "account", "disable", "x")):
        i.cli(*words, code=2)
    text = i.cli("acme", "eab", "add", "web-1", "--owner", "IT").stdout
    check("certbot register" in text and "--eab-kid" in text and "trust/root.pem" in text, text)
    rows = {r["name"]: r for r in i.json("acme", "eab", "list")["eab"]}
    equal(rows["ehr.example"]["kid"], added["kid"])
    equal((rows["ehr.example"]["uses"], rows["ehr.example"]["used"], rows["ehr.example"]["enabled"]), (2, 0, True))
    check(added["hmac_key"] not in json.dumps(rows), rows)
    equal(i.json("acme", "account", "list")["accounts"], [])
    i.cli("acme", "account", "disable", "7", code=3)
    check("ehr.example" not in [d["name"] for d in i.json("device", "list")["devices"]])
    equal(i.json("acme", "eab", "disable", added["kid"])["enabled"], False)
    i.cli("acme", "eab", "disable", "no-such-name", code=3)
    again = i.json("acme", "eab", "add", "ehr.example")
    check(again["kid"] != added["kid"], again)
    check("acme eab add" in i.cli("acme", "eab", "add", "--help").stdout)


def test_exit_codes__OPS_07(i):
    i.cli("status", code=0)
    i.cli("device", "show", "no-such-device", code=3)
    i.cli("cert", "show", "ffff0000", code=3)
    i.cli("ca", "show", "nonsense", code=3)
    i.cli("device", "add", "x y z", code=None)
    for argv in (["nonsense"], ["device", "nonsense"], ["device", "add"], ["device", "list", "--nonsense"],
                 ["cert", "revoke", "00", "--reason", "tired"]):
        done = i.cli(*argv, code=None)
        check(done.returncode in (2, 3) if argv[0] == "cert" else done.returncode == 2, argv, done.returncode, done.stderr)
        check(done.stderr.strip() and not done.stdout.strip(), argv, done.stdout)
    lost = run(BUILD / "caduceus", "status", "--dir", i.home / "nowhere")
    equal(lost.returncode, 5, lost.stderr)
    equal(run(BUILD / "caduceus", "device", "add", "--help").returncode, 0)
    check("Example" in run(BUILD / "caduceus", "device", "add", "--help").stdout)


def test_every_command_speaks_json__OPS_07(i):
    pem = i.enroll("json-1")
    for argv in (["status"], ["device", "list"], ["device", "show", "json-1"], ["cert", "list"],
                 ["cert", "show", i.serial(pem)], ["ca", "list"], ["ca", "show", "devices"], ["ca", "fingerprint"],
                 ["profile", "list"], ["profile", "show", "device"], ["audit", "show"], ["hsm", "list"],
                 ["hsm", "test"], ["config", "show"], ["config", "check"], ["audit", "verify"]):
        i.json(*argv)


def test_publishing_lists_every_crl__CRL_02(i):
    first = {c["ca"]: c["number"] for c in i.json("crl", "publish")["crls"]}
    equal(sorted(first), ["devices", "root", "servers"])
    # Two officers at once: each is answered, with numbers of their own or with a refusal that says to come again.
    argv = [BUILD / "caduceus", "crl", "publish", "--json", "--dir", i.dir]
    both = [subprocess.Popen([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in "ab"]
    for p in both:
        out, err = p.communicate(timeout=30)
        check(p.returncode == 0 or "try again" in err, p.returncode, out, err)
        if p.returncode == 0:
            for c in json.loads(out)["crls"]:
                check(c["number"] > first[c["ca"]], c, first)
    one = i.json("crl", "publish", "devices")["crls"]
    equal([c["ca"] for c in one], ["devices"])
    check("no authority" in i.cli("crl", "publish", "nosuch", code=3).stderr)


def test_certificates_are_found_every_way(i):
    pem = i.enroll("find-1")
    serial = i.serial(pem)
    for name in (serial, serial.upper(), serial[:12], "find-1", str(pem)):
        equal(i.json("cert", "show", name)["serial"], serial, name)
    row = i.certificates("--device", "find-1")[0]
    for member in ("serial", "ca", "subject", "profile", "device", "not_before", "not_after", "status"):
        check(member in row, member, row)
    equal((row["ca"], row["profile"], row["status"]), ("devices", "device", "valid"))
    check(serial in [c["serial"] for c in i.certificates("--expiring", "120d")])
    check(serial not in [c["serial"] for c in i.certificates("--expiring", "1d")])
    i.cli("cert", "revoke", "find-1")
    check(serial in [c["serial"] for c in i.certificates("--status", "revoked")])
    check(serial not in [c["serial"] for c in i.certificates("--status", "valid")])
    i.cli("cert", "revoke", serial, "--reason", "removeFromCRL", code=None)
    equal(i.cli("cert", "revoke", serial, "--reason", "aACompromise", code=None).returncode != 0, True)


def test_issue_from_a_request__X509_19__X509_32(i):
    path = i.path("radius.der")
    path.write_bytes(i.csr("radius.example", san="DNS:radius.example"))
    out = i.cli("cert", "issue", "--profile", "radius", "--csr", path).stdout
    check(out.startswith("-----BEGIN CERTIFICATE-----"), out[:100])
    text = run("openssl", "x509", "-noout", "-text", input=out).stdout
    check("TLS Web Server Authentication" in text and "TLS Web Client Authentication" not in text, text)
    check("OCSP - URI" in text, text)
    pem = i.path("radius.csr.pem")
    pem.write_bytes(run("openssl", "req", "-inform", "DER", "-in", path, text=False).stdout)
    i.cli("cert", "issue", "--profile", "radius", "--csr", pem, "--out", i.path("r.pem"))
    path.write_bytes(i.csr("nosan.example", subject="/CN=not a name"))
    refused = i.cli("cert", "issue", "--profile", "radius", "--csr", path, code=None)
    check(refused.returncode != 0 and refused.stderr.strip(), refused.stdout)
    for profile in ("device", "ocsp", "nonsense"):
        refused = i.cli("cert", "issue", "--profile", profile, "--csr", pem, code=None)
        check(refused.returncode in (1, 3, 4), profile, refused.returncode, refused.stderr)


def test_disable_with_revoke(i):
    pem = i.enroll("lostpump-1")
    done = i.json("device", "disable", "lostpump-1", "--revoke")
    equal(done["revoked"], 1)
    equal(i.ocsp(pem), "revoked")


def test_authorities__X509_41__EST_32(i):
    rows = {r["name"]: r for r in i.json("ca", "list")["authorities"]}
    equal(set(rows), {"root", "devices", "servers"})
    fingerprint = i.json("ca", "fingerprint")["sha256"].replace(":", "").lower()
    der = run("openssl", "x509", "-in", i.root, "-outform", "DER", text=False).stdout
    import hashlib
    equal(fingerprint, hashlib.sha256(der).hexdigest())
    check(fingerprint[:16] in i.init_output.replace(":", "").lower(), "init does not print it:", i.init_output)
    i.cli("ca", "chain", "devices", "--out", i.path("chain.pem"))
    equal(i.path("chain.pem").read_text().count("BEGIN CERTIFICATE"), 2)
    for ca in ("devices", "servers"):
        equal(run("openssl", "verify", "-x509_strict", "-CAfile", i.root, i.dir / "trust" / f"{ca}.pem").returncode, 0)
        done = run("certtool", "--verify", "--load-ca-certificate", i.root, "--infile", i.dir / "trust" / f"{ca}.pem")
        equal(done.returncode, 0, done.stdout)


def test_profiles__OPS_08(i):
    names = [p["name"] for p in i.json("profile", "list")["profiles"]]
    for wanted in ("device", "user", "radius", "server", "officer", "ocsp"):
        check(wanted in names, wanted, names)
    source = (i.dir / "profiles" / "device.yaml").read_text()
    changed = i.path("device.yaml")
    changed.write_text(re.sub(r"(?m)^validity:.*$", "validity: 30d", source))
    i.cli("profile", "check", changed)
    loaded = i.json("profile", "load", changed)
    check(loaded["sha256"] != loaded["before"])
    pem = i.enroll("short-1")
    end = run("openssl", "x509", "-in", pem, "-noout", "-checkend", str(31 * 86400))
    check("will expire" in end.stdout, end.stdout)
    original = i.path("orig.yaml")
    original.write_text(source)
    i.cli("profile", "load", original)
    changed.write_text(source + "\nvalidty: 3d\nnonsense: 1\n")
    bad = i.cli("profile", "check", changed, code=None)
    check(bad.returncode != 0 and "validty" in bad.stderr + bad.stdout and "nonsense" in bad.stderr + bad.stdout,
          bad.stderr)
    changed.write_text(re.sub(r"(?m)^validity:.*$", "validity: 9000d", source))
    check(i.cli("profile", "load", changed, code=None).returncode != 0, "9,000 days were accepted")


def test_a_profile_that_is_refused_stays_said__OPS_03():
    i = Instance("profile-no")
    path = i.dir / "profiles" / "device.yaml"
    source = path.read_text()
    path.write_text(re.sub(r"(?m)^authority:.*$", "authority: root", source))
    i.serve.send_signal(signal.SIGHUP)
    wait_for("the reason", lambda: "the root signs authorities only" in i.json("status", code=None)["signer"], 10)
    # Nothing is issued under it, so it is not forgotten when the signer is asked again, ten seconds later.
    time.sleep(12)
    check("the root signs authorities only" in i.json("status", code=1)["signer"], i.json("status", code=None)["signer"])
    equal(i.log_text().count("ALARM: the signer refuses"), 1, i.log_text()[-2000:])
    path.write_text(source)
    i.serve.send_signal(signal.SIGHUP)
    wait_for("status", lambda: i.cli("status", code=None).returncode == 0, 25)
    i.enroll("profile-1")
    i.stop()


def test_hsm_keys_are_what_they_must__HSM_01__HSM_06(i):
    keys = i.json("hsm", "list")["keys"]
    check(len(keys) >= 5, "root, devices, servers, two responders:", keys)
    for k in keys:
        equal((k["sensitive"], k["extractable"], k["always_sensitive"], k["never_extractable"], k["local"]),
              (True, False, True, True, True), k)
    check(any(k["label"] == "devices-1" for k in keys), keys)
    equal(i.json("hsm", "test")["ok"], True)


def test_config_mistakes_all_at_once__OPS_08(i):
    text = (i.dir / "caduceus.yaml").read_text()
    copy = i.home / "broken"
    shutil.copytree(i.dir, copy, ignore=shutil.ignore_patterns("*.sock", "run"))
    (copy / "run").mkdir()
    (copy / "caduceus.yaml").write_text(text + "\nlissten:\n  enroll: 1\nfoo: bar\n")
    done = run(BUILD / "caduceus", "config", "check", "--dir", copy)
    both = done.stdout + done.stderr
    equal(done.returncode, 1, both)
    check("lissten" in both and "foo" in both and re.search(r"caduceus\.yaml:\d+", both), both)
    done = run(BUILD / "caduceus", "serve", "--dir", copy, timeout=30)
    check(done.returncode != 0 and "lissten" in done.stdout + done.stderr and "ready" not in done.stdout, done.stderr)
    shutil.rmtree(copy)


def test_init_refuses_what_is_there(i):
    again = run(BUILD / "caduceus", "init", "--dir", i.dir)
    check(again.returncode != 0 and str(i.dir) in again.stderr, again.stderr)
    bad = run(BUILD / "caduceus", "init", "--dir", i.home / "other", "--set", "listen.enroll=nonsense", "--set",
              "nonsense=1")
    check(bad.returncode in (1, 2) and "nonsense" in bad.stderr, bad.stderr)
    check(not (i.home / "other").exists() and not list(i.home.glob("other.*")), "something is left behind")


def test_second_serve_is_refused(i):
    done = run(BUILD / "caduceus", "serve", "--dir", i.dir, timeout=30)
    equal(done.returncode, 5, done.stderr)


def test_secrets_are_nowhere__HSM_08__AUD_09(i):
    pin = (i.dir / "hsm.pin").read_text().strip()
    password = i.device("secret-1")["password"]
    i.post_csr(i.csr("secret-1"), "-u", f"secret-1:{password}")
    wrong = "not-" + password
    i.post_csr(i.csr("secret-1"), "-u", f"secret-1:{wrong}")
    i.cli("device", "password", "secret-1")
    seen = i.log_text() + run("ps", "-eo", "args").stdout
    records = json.dumps(i.json("audit", "show"))
    basic = [base64.b64encode(f"secret-1:{p}".encode()).decode() for p in (password, wrong)]
    key = "".join(i.key("secret-1").read_text().splitlines()[1:3])
    for secret in (pin, password, wrong, *basic, key):
        check(len(secret) >= 16)
        check(secret not in seen and secret not in records, "a secret stands in a log")
    data = b"".join(p.read_bytes() for p in i.dir.glob("caduceus.db*"))
    check(pin.encode() not in data and password.encode() not in data, "a secret stands in the database")
    for path in (i.dir / "hsm.pin", i.dir / "tls", i.dir / "token"):
        equal(path.stat().st_mode & 0o077, 0, path)
    for pid in i.roles().values():
        check(pin.encode() not in open(f"/proc/{pid}/environ", "rb").read())


def test_logs_are_lines__OPS_04(i):
    i.post_csr(i.csr("log-1"), "-u", "evil\" level=error msg=\"owned:x")
    i.http(i.est + "/%0alevel=error")
    for line in i.log_text().splitlines():
        check(re.match(r"ts=\d{4}-\d\d-\d\dT\S+Z level=\w+ role=\w+ msg=", line), line)
    check('msg="owned' not in i.log_text())


def test_logs_as_json__OPS_04():
    i = Instance("json", ["log.json=true"])
    i.http(i.est + "/no%22thing")
    lines = [json.loads(line) for line in i.log_text().splitlines()]
    check(any(line["msg"] == "request" and line["status"] == "404" for line in lines), lines[-3:])
    i.stop()


def test_doctor(i):
    said = json.loads(i.cli("doctor", "--json", code=None).stdout)
    found = {f["check"]: f["result"] for f in said["findings"]}
    for name in ("configuration", "public.va", "permissions", "disk", "clock", "tls/enroll.pem", "trust/root.pem", "service", "crl"):
        check(name in found, name, found)
    check(said["ok"] == ("wrong" not in found.values()), said)
    equal(found["permissions"], "ok")
    os.chmod(i.dir / "hsm.pin", 0o644)
    done = i.cli("doctor", code=1)
    check("hsm.pin" in done.stdout and "chmod" in done.stdout, done.stdout)
    os.chmod(i.dir / "hsm.pin", 0o600)
    check("doctor" in run(BUILD / "caduceus", "--help").stdout)
    equal(run(BUILD / "caduceus", "doctor", "--dir", i.home).returncode, 1)


def test_doctor_asks_the_resolver_of_acme():
    dns = DnsServer()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:  # nobody else's, and never answered
        taken.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{taken.getsockname()[1]}"
        for address, result, words in ((dns.address, "ok", "answers"), (dead, "wrong", "does not answer: no ACME name can be validated")):
            i = Instance("resolver", [f"acme.resolver={address}"], start=False)
            said = json.loads(i.cli("doctor", "--json", code=None).stdout)
            found = [f for f in said["findings"] if f["check"] == "acme.resolver"]
            equal([f["result"] for f in found], [result], found)
            check(words in found[0]["text"] and address in found[0]["text"], found)
            if result == "wrong":
                equal(i.cli("doctor", code=None).returncode, 1)
    dns.close()


def test_what_eab_add_prints_may_be_pasted(i):
    done = i.cli("acme", "eab", "add", "paste", "--san", "dns:a.paste.example", "--san", "dns:*.b.paste.example", "--san", "dns:c.paste.example")
    check("--standalone -d a.paste.example -d c.paste.example\n" in done.stdout, done.stdout)
    check("--standalone -d d.paste.example\n" in i.cli("acme", "eab", "add", "d.paste.example").stdout)


def test_stop_drains_and_leaves_nothing__OPS_06():
    i = Instance("stop")
    pids = list(i.roles().values())
    equal(len(pids), 6, "roles:", i.roles())
    equal(i.stop(), 0)
    for pid in pids:
        check(not os.path.exists(f"/proc/{pid}"), "left behind:", pid)
    i.start()
    i.enroll("after-restart")
    equal(i.stop(), 0)
    # A service that is stopped is nothing wrong: what looks for trouble says that it does not run.
    said = json.loads(i.cli("doctor", "--json", code=None).stdout)
    equal([f["result"] for f in said["findings"] if f["check"] == "service"], ["warning"])


def test_stop_under_load_loses_nothing__OPS_06():
    i = Instance("stop-load")
    password = i.device("load-1", "--uses", "1000")["password"]
    csrs = [i.csr(f"load-1", key=i.key(f"load-{n}")) for n in range(40)]
    got, gate = [], threading.Event()

    def ask(part):
        gate.wait()
        for csr in part:
            try:
                reply = i.post_csr(csr, "-u", f"load-1:{password}")
            except Failure:
                continue  # it has stopped
            if reply.status == 200:
                got.append(i.certificate_of(reply, f"load-{len(got)}-{threading.get_ident()}"))
            else:
                check(reply.status in (0, 503), reply.status, reply.text)

    threads = [threading.Thread(target=ask, args=(csrs[n::4],)) for n in range(4)]
    for t in threads:
        t.start()
    gate.set()
    time.sleep(0.15)
    began = time.monotonic()
    equal(i.stop(), 0)
    check(time.monotonic() - began < 30)
    for t in threads:
        t.join()
    i.start()
    known = {c["serial"] for c in i.certificates()}
    for pem in got:
        check(i.serial(pem) in known, "in a device's hand and nowhere else:", i.serial(pem))
    i.cli("audit", "verify")


def test_a_second_signal_ends_it_at_once__OPS_06():
    i = Instance("stop-twice")
    s = socket.create_connection(("127.0.0.1", i.enroll_port))  # somebody who never finishes
    pids = list(i.roles().values())
    os.kill(i.roles()["ra"], signal.SIGSTOP)  # it can't drain
    i.serve.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    check(i.serve.poll() is None, "it drains")
    i.serve.send_signal(signal.SIGTERM)
    i.serve.wait(5)
    s.close()
    wait_for("no role left", lambda: not any(os.path.exists(f"/proc/{p}") for p in pids), 5)
    i.serve.stdout.close()
    i.serve = None


if __name__ == "__main__":
    main(globals())
