#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every ACME client that Debian packages, by the commands that docs/acme.md prints: they are read from the page, and only
hosts, ports, folders and the keys of the bindings are put in. Names are answered by a real DNS server (knot) that takes
signed dynamic updates. Each client has a home of its own, which stands in front of /etc, /var and /usr/local."""
import base64
import contextlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "scenario"), str(HERE)]
from harness import LONG, Failure, Instance, check, equal, free_port, main, run, wait_for
from sandbox import SANITIZED

PAGE = HERE.parent.parent / "docs" / "acme.md"
HTTP_PORT, TLS_PORT, DNS_PORT = free_port(), free_port(), free_port()
TSIG_SECRET = base64.b64encode(os.urandom(32)).decode()
SETTINGS = [f"acme.http_port={HTTP_PORT}", f"acme.tls_alpn_port={TLS_PORT}", f"acme.resolver=127.0.0.1:{DNS_PORT}",
            "acme.networks=private 127.0.0.0/8"]


# --- the page

def blocks():
    """name -> (text, file or None), in the order of the page."""
    found = {}
    for m in re.finditer(r"^<!-- test: (\S+)(?: file=(\S+))? -->\n```\w+\n(.*?)^```$", PAGE.read_text(), re.M | re.S):
        check(m.group(1) not in found, "two blocks of that name:", m.group(1))
        found[m.group(1)] = (m.group(3), m.group(2))
    return found


BLOCKS, RAN = blocks(), set()


def directory(i, profile="server"):
    return f"https://localhost:{i.enroll_port}/acme/{profile}/directory"


def binding(i, name, *options):
    """KID and HMAC_KEY; by default for every name of the hospital."""
    made = i.json("acme", "eab", "add", name, *(options or ("--san", "dns:*.hospital.example", "--uses", "3")))
    check(len(made["hmac_key"]) == 43 and re.fullmatch(r"[A-Za-z0-9_-]{43}", made["hmac_key"]), "QRK-07: 32 octets, unpadded")
    return made["kid"], made["hmac_key"]


class Home:
    """A server in the hospital: what it has of /etc, /var and /usr/local lies below a folder of its own."""

    def __init__(self, i, name, eab=None):
        self.i, self.path, self.eab = i, i.path("home-" + name), eab
        self.path.mkdir()
        for folder in ("bin", "etc/ssl", "var", "usr/local/bin", "usr/local/share/ca-certificates", "tmp"):
            (self.path / folder).mkdir(parents=True)
        shutil.copy(i.root, self.path / "usr/local/share/ca-certificates/hospital.crt")
        self.stub("systemctl", 'echo "$@" >>"$HOME/systemctl.log"')
        # Where certbot keeps things and listens, which the page leaves as it is.
        ini = self.path / ".config/letsencrypt/cli.ini"
        ini.parent.mkdir(parents=True)
        ini.write_text(f"config-dir = {self.path}/etc/letsencrypt\nwork-dir = {self.path}/var/lib/letsencrypt\n"
                       f"logs-dir = {self.path}/var/log/letsencrypt\nhttp-01-port = {HTTP_PORT}\n")
        self.env = {**os.environ, "HOME": str(self.path), "XDG_CONFIG_HOME": str(self.path / ".config"),
                    "XDG_DATA_HOME": str(self.path / ".local"), "TMPDIR": str(self.path / "tmp"),
                    "PATH": f"{self.path}/bin:/usr/bin:/bin:/usr/sbin:/sbin", "NO_PROXY": "*",
                    # in place of update-ca-certificates
                    **{k: str(i.root) for k in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")}}

    def stub(self, name, text):
        (self.path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.path / "bin" / name).chmod(0o755)

    def put_in(self, text):
        """The page's hosts, ports, folders and keys become this test's."""
        for profile in ("server", "radius"):
            text = text.replace(f"https://pki.hospital.example:8443/acme/{profile}/directory", directory(self.i, profile))
        text = text.replace("http://pki.hospital.example:8080", self.i.va)
        text = text.replace("/var/lib/caduceus/", f"{self.i.dir}/")
        text = re.sub(r"(^|[\s=\"'])/(etc|var|usr/local)/", rf"\1{self.path}/\2/", text, flags=re.M)
        text = text.replace("server ns.hospital.example 53", f"server 127.0.0.1 {DNS_PORT}")
        text = text.replace("ns.hospital.example:53", f"127.0.0.1:{DNS_PORT}").replace("=TSIG_SECRET", "=" + TSIG_SECRET)
        text = text.replace("--http.port :80", f"--http.port 127.0.0.1:{HTTP_PORT}").replace("--tls.port :443", f"--tls.port 127.0.0.1:{TLS_PORT}")
        text = text.replace("http_port 80", f"http_port {HTTP_PORT}").replace("https_port 443", f"https_port {TLS_PORT}")
        text = text.replace("*:443>", f"127.0.0.1:{TLS_PORT}>")
        if self.eab:
            text = re.sub(r"\bKID\b(?!=)", self.eab[0], text)
            text = re.sub(r"\bHMAC_KEY\b(?!=)", self.eab[1], text)
        check("hospital.example:8" not in text and not re.search(r"\b(KID|HMAC_KEY)\b(?!=)", text), "something of the page is left:", text)
        return text

    def file(self, name, mode=0o644):
        text, where = BLOCKS[name]
        RAN.add(name)
        path = self.path / where.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.put_in(text))
        path.chmod(mode)
        return path

    def run(self, name, code=0, wrap=(), seconds=180):
        """The block's commands, stopped at the first that fails; what they said."""
        text, where = BLOCKS[name]
        check(where is None, name, "is a file")
        RAN.add(name)
        return self.shell(self.put_in(text), code, wrap, seconds, name)

    def shell(self, text, code=0, wrap=(), seconds=180, name="shell"):
        done = run(*wrap, "sh", "-euc", text, env=self.env, timeout=seconds, cwd=self.path)
        said = done.stdout + done.stderr
        if code is not None:
            equal(done.returncode, code, name + ":", said[-1500:], self.logs())
        return said

    def logs(self):
        log = self.path / "var/log/letsencrypt/letsencrypt.log"
        return log.read_text()[-1500:] if log.exists() else ""

    def trusting(self):
        """For clients that believe the system's certificates alone: a mount namespace where the root is what the system has."""
        certs = self.path / "certs"
        certs.mkdir()
        shutil.copy(self.i.root, certs / "hospital.pem")
        shutil.copy(self.i.root, certs / "ca-certificates.crt")
        equal(run("openssl", "rehash", certs).returncode, 0)
        wrap = ("unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/ssl/certs && exec "$@"', certs)
        return wrap if run(*wrap, "true").returncode == 0 else None

    @contextlib.contextmanager
    def web_server(self):
        """What serves port 80 of this server: /var/www/html."""
        (self.path / "var/www/html").mkdir(parents=True, exist_ok=True)
        p = subprocess.Popen(["/usr/bin/python3", "-m", "http.server", "-d", str(self.path / "var/www/html"), "--bind", "127.0.0.1",
                              str(HTTP_PORT)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for("a web server", lambda: open_port(HTTP_PORT))
            yield
        finally:
            p.kill()
            p.wait()

    # --- what it got
    def good(self, cert, key, *names, chain=None):
        """A leaf of ours for exactly those names, for that key, with a chain that verifies; its serial."""
        cert = self.path / cert
        pem = cert.read_text()
        parts = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", pem, re.S)
        if chain:
            parts += re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", (self.path / chain).read_text(), re.S)
        check(len(parts) >= 2, cert, "has no chain")
        leaf, rest = self.path / "tmp/leaf.pem", self.path / "tmp/rest.pem"
        leaf.write_text(parts[0])
        rest.write_text("".join(parts[1:]))
        done = run("openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", self.i.root, "-untrusted", rest, leaf)
        equal(done.returncode, 0, done.stdout, done.stderr)
        said = run("openssl", "x509", "-in", leaf, "-noout", "-ext", "subjectAltName").stdout
        equal(set(re.findall(r"(?:DNS|IP Address):([^,\s]+)", said)), set(names))
        if key:
            mine = run("openssl", "pkey", "-in", self.path / key, "-pubout").stdout
            equal(run("openssl", "x509", "-in", leaf, "-noout", "-pubkey").stdout, mine, "another key")
        return self.i.serial(leaf)

    def status(self, serial, wanted):
        found = [c["status"] for c in self.i.certificates() if c["serial"] == serial]
        equal(found, [wanted])


def open_port(port):
    return run("bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}").returncode == 0


def skipped(what):
    print(f"  skipped: {what}", flush=True)


def have(*programs):
    """False only when this distribution does not package the client; what it packages must be there."""
    lacking = [p for p in programs if shutil.which(p, path="/usr/bin:/usr/sbin:/bin") is None]
    for p in lacking:
        package = {"apache2": "apache2-bin"}.get(p, p)
        check(run("apt-cache", "show", package).returncode != 0, package, "is packaged, but not installed: scripts/deps test")
        skipped(f"{p}: not in this distribution")
    return not lacking


# --- DNS

class Knot:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        (folder / "run").mkdir()
        (folder / "hospital.example.zone").write_text(
            "$ORIGIN hospital.example.\n$TTL 60\n@ SOA ns admin 1 60 60 60 1\n@ NS ns\nns A 127.0.0.1\n* A 127.0.0.1\n")
        (folder / "knot.conf").write_text(f"""server:
    rundir: "{folder}/run"
    listen: 127.0.0.1@{DNS_PORT}
log:
  - target: stderr
    any: notice
database:
    storage: "{folder}"
key:
  - id: acme
    algorithm: hmac-sha256
    secret: {TSIG_SECRET}
acl:
  - id: acme
    key: acme
    action: update
zone:
  - domain: hospital.example
    storage: "{folder}"
    file: hospital.example.zone
    acl: acme
""")
        self.log = folder / "log"
        self.process = subprocess.Popen(["knotd", "-c", str(folder / "knot.conf")], stdin=subprocess.DEVNULL,
                                        stdout=open(self.log, "w"), stderr=subprocess.STDOUT)
        try:
            wait_for("knotd", lambda: "127.0.0.1" in run("nslookup", f"-port={DNS_PORT}", "-timeout=1", "-retry=1", "x.hospital.example",
                                                         "127.0.0.1").stdout.partition("Name:")[2], 20)
        except Failure as e:
            self.stop()
            raise Failure(f"{e}: {self.log.read_text()}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


KNOT = []


def dns(i):
    if not KNOT:
        KNOT.append(Knot(i.path("knot")))
    return KNOT[0]


def update_key(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'key "acme" {{\n\talgorithm hmac-sha256;\n\tsecret "{TSIG_SECRET}";\n}};\n')


# --- the clients

def test_page_and_trust(i):
    """What steps 1 and 2 print works: a binding, and the root over plain HTTP, with the fingerprint that the CA says."""
    home = Home(i, "trust")
    text = BLOCKS["eab"][0].strip()
    RAN.add("eab")
    argv = shlex.split(text)
    equal(argv[0], "caduceus")
    made = i.json(*argv[1:])
    check(made["kid"] and made["hmac_key"], made)
    (home.path / "usr/local/share/ca-certificates/hospital.crt").unlink()
    said = home.run("trust")
    equal((home.path / "usr/local/share/ca-certificates/hospital.crt").read_text(), i.root.read_text())
    finger = re.search(r"Fingerprint=([0-9A-F:]+)", said).group(1).replace(":", "").lower()
    check(finger in i.cli("ca", "fingerprint").stdout.replace(":", "").lower(), finger)


def certbot_home(i, name):
    return Home(i, name, binding(i, name))


def test_certbot__ACME_16__ACME_19__ACME_30__ACME_38__ACME_41__QRK_05(i):
    dns(i)
    home = certbot_home(i, "certbot")
    live = "etc/letsencrypt/live"
    # Without the binding, and with a wrong one: refused, and told why.
    plain = re.sub(r"--eab-kid KID --eab-hmac-key HMAC_KEY", "", BLOCKS["certbot-register"][0])
    said = home.shell(home.put_in(plain), code=1)
    check("external" in said.lower(), said)
    wrong = BLOCKS["certbot-register"][0].replace("HMAC_KEY", "d3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmctd3I")
    said = home.shell(home.put_in(wrong), code=1)
    check("unauthorized" in said.lower() or "binding" in said.lower(), said)
    home.run("certbot-register")
    # Nobody answers: refused.
    said = home.shell(home.put_in(BLOCKS["certbot-http"][0]).replace("--standalone", "--manual --preferred-challenges http --manual-auth-hook true")
                      .replace("--cert-name pacs", "--cert-name nobody"), code=1)
    check("fetch" in said.lower() or "connect" in said.lower() or "connection" in said.lower(), said)
    home.run("certbot-http")
    home.good(f"{live}/pacs/fullchain.pem", f"{live}/pacs/privkey.pem", "pacs.hospital.example", "ris.hospital.example")
    home.run("certbot-rsa")
    rsa = home.good(f"{live}/modality/fullchain.pem", f"{live}/modality/privkey.pem", "modality.hospital.example")
    check("3072" in run("openssl", "x509", "-in", home.path / live / "modality/cert.pem", "-noout", "-text").stdout)
    home.file("certbot-nginx-hook", 0o755)
    before = home.good(f"{live}/pacs/fullchain.pem", None, "pacs.hospital.example", "ris.hospital.example")
    home.run("certbot-renew")
    after = home.good(f"{live}/pacs/fullchain.pem", f"{live}/pacs/privkey.pem", "pacs.hospital.example", "ris.hospital.example")
    check(before != after, "renewal kept the serial")
    check("reload nginx" in (home.path / "systemctl.log").read_text())
    # HAProxy's file.
    home.file("haproxy-hook", 0o755)
    (home.path / "etc/haproxy/certs").mkdir(parents=True)
    # Not due yet: nothing happens.
    home.file("certbot-ari-script")
    home.run("certbot-ari")
    equal(home.good(f"{live}/pacs/fullchain.pem", None, "pacs.hospital.example", "ris.hospital.example"), after, "renewed before its time")
    # Revoked: due at once, and renewed.
    home.run("certbot-revoke")
    home.status(after, "revoked")
    pem = home.path / "tmp/leaf.pem"
    equal(i.ocsp(pem, issuer="servers"), "revoked")
    said = home.shell(home.put_in(BLOCKS["certbot-revoke"][0]), code=1)
    check("already" in (said + home.logs()).lower(), said, home.logs())  # some certbots trip over their own exception
    home.run("certbot-ari")
    renewed = home.good(f"{live}/pacs/fullchain.pem", f"{live}/pacs/privkey.pem", "pacs.hospital.example", "ris.hospital.example")
    check(renewed != after, "not renewed, though the CA said so")
    equal(i.ocsp(home.path / "tmp/leaf.pem", issuer="servers"), "good")
    both = (home.path / "etc/haproxy/certs/pacs.pem").read_text()
    check("PRIVATE KEY" in both and both.count("BEGIN CERTIFICATE") >= 2)
    home.run("certbot-revoke-key")
    home.status(rsa, "revoked")
    home.run("certbot-unregister")
    said = home.shell(home.put_in(BLOCKS["certbot-http"][0]).replace("--cert-name pacs", "--cert-name gone"), code=1)


def test_certbot_wildcard_by_dns__ACME_32__ACME_35(i):
    dns(i)
    home = certbot_home(i, "wildcard")
    home.run("certbot-register")
    update_key(home.path / "etc/letsencrypt/acme.key")
    home.file("certbot-dns-add")
    home.file("certbot-dns-remove")
    home.run("certbot-dns")
    home.good("etc/letsencrypt/live/ward/fullchain.pem", "etc/letsencrypt/live/ward/privkey.pem", "*.ward.hospital.example")
    said = home.shell(home.put_in(BLOCKS["certbot-dns"][0]).replace("/dns-add --manual", "/dns-remove --manual")
                      .replace("ward", "ward2"), code=1)
    check("dns" in said.lower(), said)


def test_lego__ACME_30__ACME_32__ACME_33__QRK_07(i):
    if not have("lego"):
        return
    dns(i)
    home = Home(i, "lego", binding(i, "lego"))
    home.env["LEGO_CA_CERTIFICATES"] = str(i.root)
    certs = "etc/lego/certificates"
    home.run("lego-http")
    names = ("lego.hospital.example", "lego2.hospital.example")
    first = home.good(f"{certs}/lego.hospital.example.crt", f"{certs}/lego.hospital.example.key", *names)
    home.run("lego-renew")
    equal(home.good(f"{certs}/lego.hospital.example.crt", None, *names), first, "renewed before its time")
    home.shell(home.put_in(BLOCKS["lego-renew"][0]).replace("--days 30", "--days 90"))
    second = home.good(f"{certs}/lego.hospital.example.crt", f"{certs}/lego.hospital.example.key", *names)
    check(first != second, "renewal kept the serial")
    check("reload nginx" in (home.path / "systemctl.log").read_text())
    home.run("lego-tls")
    viewer = home.good(f"{certs}/viewer.hospital.example.crt", f"{certs}/viewer.hospital.example.key", "viewer.hospital.example")
    home.run("lego-dns")
    home.good(f"{certs}/_.lab.hospital.example.crt", f"{certs}/_.lab.hospital.example.key", "*.lab.hospital.example")
    home.run("lego-revoke")
    home.status(viewer, "revoked")


def test_uacme__ACME_19__ACME_21__ACME_22(i):
    if not have("uacme"):
        return
    dns(i)
    home = Home(i, "uacme", binding(i, "uacme"))
    wrap = home.trusting()
    if wrap is None:
        return skipped("uacme: no mount namespace here")
    with home.web_server():
        home.run("uacme", wrap=wrap)
        names = ("hl7.hospital.example", "hl7b.hospital.example")
        cert, key = "etc/ssl/uacme/hl7.hospital.example/cert.pem", "etc/ssl/uacme/private/hl7.hospital.example/key.pem"
        first = home.good(cert, key, *names)
        issue = home.put_in(BLOCKS["uacme"][0]).split("new servers@hospital.example")[1]
        export = f"export UACME_CHALLENGE_PATH={home.path}/var/www/html/.well-known/acme-challenge\n"
        home.shell(export + issue, code=1, wrap=wrap)  # not due yet
        home.run("uacme-newkey", wrap=wrap)
        home.shell(export + issue.replace(" issue ", " --force issue "), wrap=wrap)
        second = home.good(cert, key, *names)
        check(first != second)
        home.run("uacme-revoke", wrap=wrap)
        home.status(second, "revoked")
        home.run("uacme-deactivate", wrap=wrap)
        home.shell(export + issue.replace(" issue ", " --force issue "), code=2, wrap=wrap)


def test_dehydrated__ACME_19(i):
    if not have("dehydrated"):
        return
    dns(i)
    home = Home(i, "dehydrated", binding(i, "dehydrated"))
    home.file("dehydrated-config")
    with home.web_server():
        home.run("dehydrated")
        lis = "var/lib/dehydrated/certs/lis.hospital.example"
        serial = home.good(f"{lis}/fullchain.pem", f"{lis}/privkey.pem", "lis.hospital.example", "lis2.hospital.example")
        home.run("dehydrated-revoke")
        home.status(serial, "revoked")


@contextlib.contextmanager
def daemon(home, name, *argv):
    log = home.path / f"{name}.log"
    p = subprocess.Popen([str(a) for a in argv], env=home.env, cwd=home.path, stdin=subprocess.DEVNULL, stdout=open(log, "a"),
                         stderr=subprocess.STDOUT)
    try:
        yield p, log
    finally:
        p.terminate()
        try:
            p.wait(15)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()


def served(i, name):
    """The serial of what the TLS server on TLS_PORT shows for that name, None when it does not verify."""
    done = run("openssl", "s_client", "-connect", f"127.0.0.1:{TLS_PORT}", "-servername", name, "-CAfile", i.root, "-verify_return_error",
               "-verify_hostname", name)
    if done.returncode != 0 or "BEGIN CERTIFICATE" not in done.stdout:
        return None
    return run("openssl", "x509", "-noout", "-serial", input=done.stdout).stdout.strip().partition("=")[2].lower()


def test_caddy__ACME_33(i):
    if not have("caddy"):
        return
    dns(i)
    home = Home(i, "caddy", binding(i, "caddy"))
    home.env["CADDY_ADMIN"] = f"127.0.0.1:{free_port()}"
    config = home.file("caddy")
    with daemon(home, "caddy", "caddy", "run", "--config", config, "--adapter", "caddyfile") as (p, log):
        try:
            serial = wait_for("caddy's certificate", lambda: served(i, "ehr.hospital.example"), 60)
        except Failure as e:
            raise Failure(f"{e}: {log.read_text()[-2500:]}")
        home.status(serial, "valid")


APACHE = """ServerRoot {h}
PidFile {h}/httpd.pid
ErrorLog {h}/error.log
LogLevel md:debug
DefaultRuntimeDir {h}
Mutex file:{h} default
{user}
{modules}
ServerName portal.hospital.example
Listen 127.0.0.1:{http}
Listen 127.0.0.1:{tls}
MDStoreDir {h}/md
MDPortMap 80:{http} 443:{tls}
MDCheckInterval 1s
MDInitialDelay 0s
Include {conf}
"""


def test_apache_mod_md_renews_by_ari__ACME_43__ACME_44__ACME_45(i):
    if not have("apache2"):
        return
    dns(i)
    home = Home(i, "apache", binding(i, "apache"))
    conf = home.file("apache")
    built_in = run("apache2", "-l").stdout
    modules = "\n".join(f"LoadModule {m}_module /usr/lib/apache2/modules/mod_{m}.so"
                        for m in ("mpm_event", "authz_core", "watchdog", "socache_shmcb", "ssl", "md")
                        if f"mod_{m}.c" not in built_in)
    httpd = home.path / "httpd.conf"
    text = APACHE.format(h=home.path, http=HTTP_PORT, tls=TLS_PORT, conf=conf, modules=modules,
                         user="User www-data\nGroup www-data" if os.geteuid() == 0 else "")
    httpd.write_text(text)
    if run("apache2", "-t", "-f", httpd, env=home.env).returncode != 0:  # an older mod_md
        httpd.write_text(text.replace("MDInitialDelay 0s\n", "").replace("MDCheckInterval 1s\n", ""))
    error, reloads = home.path / "error.log", []

    def staged_or_used(old):
        """Reloads until the certificate is in use."""
        found = served(i, "portal.hospital.example")
        if found and found != old:
            return found
        done = error.read_text().count("activated on next (graceful) server restart") if error.exists() else 0
        if done > len(reloads):
            reloads.append(done)
            run("apache2", "-f", httpd, "-k", "graceful", env=home.env)
        return None

    with daemon(home, "apache", "apache2", "-f", httpd, "-DFOREGROUND") as (p, log):
        try:
            first = wait_for("mod_md's certificate", lambda: staged_or_used(None), 60)
            home.status(first, "valid")
            if "renewalInfo" not in run("strings", "/usr/lib/apache2/modules/mod_md.so").stdout:
                return skipped("mod_md asks for no renewal information here")
            # Revoked: due at once, which mod_md hears from the CA.
            i.cli("cert", "revoke", first, "--reason", "superseded")
            run("apache2", "-f", httpd, "-k", "graceful", env=home.env)
            second = wait_for("renewal by what the CA says", lambda: staged_or_used(first), 90)
            home.status(second, "valid")
        except Failure as e:
            raise Failure(f"{e}: {error.read_text()[-6000:] if error.exists() else ''} {log.read_text()[-1000:]}")


def test_radius_server__ACME_46(i):
    dns(i)
    refused = i.http(directory(i, "radius"))
    equal(refused.status, 404, refused.text)
    sed, load, eab = BLOCKS["radius-door"][0].strip().splitlines()
    RAN.add("radius-door")
    home = Home(i, "radius")
    home.shell(home.put_in(sed))
    i.cli(*shlex.split(home.put_in(load))[1:])
    made = i.json(*shlex.split(eab)[1:])
    home.eab = made["kid"], made["hmac_key"]
    (home.path / "etc/freeradius/3.0/certs").mkdir(parents=True)
    home.file("radius-hook", 0o755)
    wait_for("the directory", lambda: i.http(directory(i, "radius")).status == 200, 5)
    home.run("radius-certbot")
    certs = home.path / "etc/freeradius/3.0/certs"
    home.good("etc/freeradius/3.0/certs/server.pem", "etc/freeradius/3.0/certs/server.key", "radius.hospital.example")
    equal((certs / "server.key").stat().st_mode & 0o777, 0o640)
    check("restart freeradius" in (home.path / "systemctl.log").read_text())
    # A device gets onto the network through it.
    from radius import Radius
    pem = i.enroll("acme-pump")
    radius = Radius(i, "acme", certs / "server.pem", certs / "server.key", "1.3")
    try:
        accepted, log = radius.login("acme-pump", pem, i.key("acme-pump"), "1.3", "radius.hospital.example")
        check(accepted, log[-800:])
    finally:
        radius.stop()


# --- clients that know no binding

OPTIONAL = []


def optional():
    """An instance where accounts need none."""
    if not OPTIONAL:
        OPTIONAL.append(Instance("acme-optional", settings=[*SETTINGS, "acme.eab=optional"]))
    return OPTIONAL[0]


def test_acme_tiny__ACME_16(i):
    if not have("acme-tiny"):
        return
    dns(i)
    home = Home(optional(), "tiny")
    with home.web_server():
        home.run("acme-tiny")
        home.good("etc/acme-tiny/dicom.pem", "etc/acme-tiny/dicom.key", "dicom.hospital.example")


def test_acmetool(i):
    if not have("acmetool"):
        return
    dns(i)
    home = Home(optional(), "acmetool")
    home.file("acmetool-responses")
    home.file("acmetool-target")
    with home.web_server():
        home.run("acmetool")
        live = "var/lib/acme/live/archive.hospital.example"
        home.good(f"{live}/fullchain", f"{live}/privkey", "archive.hospital.example")


def test_lacme(i):
    """Its parts are users and privileges of their own: here its client alone, with the account's key beside it."""
    if not have("lacme"):
        return
    dns(i)
    o = optional()
    home = Home(o, "lacme")
    web = home.path / "var/www/html/.well-known/acme-challenge"
    web.mkdir(parents=True)
    wrap = home.trusting()
    if wrap is None:
        return skipped("lacme: no mount namespace here")
    web.chmod(0o777)
    home.path.chmod(0o711)
    key = home.path / "account.key"
    run("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key)
    (home.path / "srv.key").write_bytes(run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", text=False).stdout)
    (home.path / "accountd.conf").write_text(f"privkey = file:{key}\n")
    (home.path / "certs.conf").write_text(f"[node]\ncertificate-key = {home.path}/srv.key\ncertificate-chain = {home.path}/srv.pem\n"
                                          f"subject = /CN=node.hospital.example\nsubjectAltName = DNS:node.hospital.example\nCAfile =\n")
    (home.path / "lacme.conf").write_text(
        f"config-certs = {home.path}/certs.conf\n[client]\nserver = {directory(o)}\nuser = \ngroup = \n"
        f"[webserver]\nlisten =\nchallenge-directory = {web}\nuser = \ngroup = \n"
        f"[accountd]\nuser =\ngroup =\nconfig = {home.path}/accountd.conf\n")
    with home.web_server():
        home.shell(f"lacme --config={home.path}/lacme.conf account --register --tos-agreed mailto:servers@hospital.example\n"
                   f"lacme --config={home.path}/lacme.conf newOrder node", wrap=wrap)
        home.good("srv.pem", "srv.key", "node.hospital.example")


def test_every_block_of_the_page_was_run(i):
    """Whatever the page marks as tested has been."""
    if len(sys.argv) > 1:
        return
    for o in OPTIONAL:
        equal(o.stop(), 0)
        check("ERROR: AddressSanitizer" not in o.log_text() and "runtime error:" not in o.log_text(), o.log_text()[-3000:])
    left = set(BLOCKS) - RAN
    absent = {"lego": "lego", "uacme": "uacme", "dehydrated": "dehydrated", "caddy": "caddy", "apache": "apache2", "acme-tiny": "acme-tiny",
              "acmetool": "acmetool"}
    left = {b for b in left if not any(b.startswith(k) and shutil.which(p, path="/usr/bin:/usr/sbin") is None for k, p in absent.items())}
    equal(left, set(), "printed, marked, and not run")


if __name__ == "__main__":
    # What it looks for is in the clients; the sanitizers see the same requests in tests/scenario/acme.py.
    if SANITIZED and not LONG:
        sys.exit(77)
    try:
        main(globals(), settings=SETTINGS)
    finally:
        for k in KNOT:
            k.stop()
