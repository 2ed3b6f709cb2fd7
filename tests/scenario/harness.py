# SPDX-License-Identifier: Apache-2.0
"""Runs the real programs: an instance with its own directory, token and loopback ports, and the clients' side.

A scenario file defines functions test_NAME__ROW(i) taking an Instance, and ends with `main(globals())`. The build's
folder is in CADUCEUS_BUILD."""
import atexit
import base64
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

BUILD = pathlib.Path(os.environ.get("CADUCEUS_BUILD", "build")).resolve()
LONG = os.environ.get("CADUCEUS_TEST_LONG") == "1"
os.environ["NO_PROXY"] = "*"
os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:exitcode=99")
os.environ.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")


class Failure(Exception):
    pass


def check(condition, *why):
    if not condition:
        raise Failure(" ".join(str(w) for w in why))


def equal(got, wanted, *why):
    check(got == wanted, *why, f"got {got!r}, wanted {wanted!r}")


def wait_for(what, probe, seconds=15.0):
    """Polls until probe() is true; its value is returned."""
    end = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        check(time.monotonic() < end, "waited in vain for", what)
        time.sleep(0.02)


RESERVED = []


def free_port():
    """A loopback port that nobody listens on now, outside the range from which the kernel draws client ports; this process's
    until it ends, as far as other tests go."""
    for _ in range(200):
        port = random.randrange(20000, 32000)
        mine = socket.socket(socket.AF_UNIX)
        with socket.socket() as s:
            try:
                mine.bind(f"\0caduceus-test-port-{port}")
                s.bind(("127.0.0.1", port))
            except OSError:
                mine.close()
                continue
        RESERVED.append(mine)
        return port
    raise Failure("no free port")


def run(*argv, **options):
    options.setdefault("timeout", 60)
    options.setdefault("stdin", subprocess.DEVNULL)
    if "input" in options:
        del options["stdin"]
    text = options.pop("text", True)
    return subprocess.run([str(a) for a in argv], capture_output=True, text=text, **options)


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")


class Instance:
    def __init__(self, name="scenario", settings=(), start=True):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix=f"cad-{name[:12]}-"))
        self.home.chmod(0o711)  # the roles' own users pass through
        atexit.register(self.close)
        self.dir = self.home / "i"
        self.serve = None
        self.log = self.home / "serve.log"
        self.enroll_port, self.va_port = free_port(), free_port()
        self.est = f"https://localhost:{self.enroll_port}/.well-known/est"
        self.va = f"http://127.0.0.1:{self.va_port}"
        self.settings = [
            f"listen.enroll=127.0.0.1:{self.enroll_port}", f"listen.va=127.0.0.1:{self.va_port}",
            f"public.enroll=https://localhost:{self.enroll_port}", f"public.va={self.va}",
            *([] if any(s.startswith("listen.metrics=") for s in settings) else ["listen.metrics=off"]), *settings]
        argv = [BUILD / "caduceus", "init", "--dir", self.dir, "--organization", "St. Hedwig"]
        for s in self.settings:
            argv += ["--set", s]
        done = run(*argv, timeout=120)
        check(done.returncode == 0, "init failed:", done.stdout, done.stderr)
        self.init_output = done.stdout
        if start:
            self.start()

    # --- the service
    def start(self):
        self.serve = subprocess.Popen(
            [str(BUILD / "caduceus"), "serve", "--dir", str(self.dir)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=open(self.log, "ab"), text=True)
        line = self.serve.stdout.readline()
        check(line.strip() == "ready", "serve did not become ready:", line, self.log_text()[-3000:])

    def stop(self, sig=signal.SIGTERM, seconds=40):
        if self.serve is None:
            return 0
        if self.serve.poll() is None:
            self.serve.send_signal(sig)
        try:
            code = self.serve.wait(seconds)
        except subprocess.TimeoutExpired:
            self.serve.kill()
            self.serve.wait()
            raise Failure("serve did not stop in time: " + self.log_text()[-2000:])
        finally:
            self.serve.stdout.close()
            self.serve = None
        check("WARNING: ThreadSanitizer" not in self.log_text(), "a race:", self.races())
        return code

    def races(self):
        """What ThreadSanitizer said first, without the rest of the log."""
        _, mark, rest = self.log_text().partition("WARNING: ThreadSanitizer")
        return mark + rest[:4000]

    def close(self):
        try:
            if self.serve is not None and self.serve.poll() is None:
                self.serve.kill()
                self.serve.wait()
        finally:
            self.serve = None
            if os.environ.get("CADUCEUS_TEST_KEEP") != "1":
                shutil.rmtree(self.home, ignore_errors=True)

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def roles(self):
        """pid of each role by name: direct children of serve."""
        found = {}
        out = run("ps", "-o", "pid=,args=", "--ppid", self.serve.pid).stdout
        for line in out.splitlines():
            pid, _, args = line.strip().partition(" ")
            name = re.search(r"caduceus-(\w+)", args)
            if name:
                found["officers" if "--officers" in args else name.group(1)] = int(pid)
        return found

    # --- officers
    def cli(self, *argv, code=0, env=None):
        done = run(BUILD / "caduceus", *argv, "--dir", self.dir, env={**os.environ, **(env or {})})
        if code is not None:
            check(done.returncode == code, "caduceus", *argv, f"exit {done.returncode}, wanted {code}:",
                  done.stdout, done.stderr)
        return done

    def json(self, *argv, code=0):
        done = self.cli(*argv, "--json", code=code)
        return json.loads(done.stdout)

    def device(self, name, *options):
        return self.json("device", "add", name, *options)

    def certificates(self, *options):
        return self.json("cert", "list", *options)["certificates"]

    # --- a device
    @property
    def root(self):
        return self.dir / "trust" / "root.pem"

    def path(self, name):
        return self.home / name

    def key(self, name, kind="ec"):
        path = self.path(name + ".key")
        if not path.exists():
            algorithm = {"ec": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
                         "p384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
                         "ed25519": ["-algorithm", "ED25519"],
                         "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
                         "rsa1024": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]}[kind]
            done = run("openssl", "genpkey", *algorithm, "-out", path)
            check(done.returncode == 0, done.stderr)
        return path

    def csr(self, name, subject=None, san=None, key=None, kind="ec", extra=()):
        """DER of a CSR; its key is NAME.key."""
        key = key or self.key(name, kind)
        argv = ["openssl", "req", "-new", "-key", key, "-subj", subject if subject is not None else f"/CN={name}",
                "-outform", "DER", *extra]
        if san:
            argv += ["-addext", f"subjectAltName={san}"]
        done = run(*argv, text=False)
        check(done.returncode == 0, done.stderr)
        return done.stdout

    def http(self, url, *options, data=None):
        head, body = self.path(f"h{random.random()}"), self.path(f"b{random.random()}")
        argv = ["curl", "-sS", "--noproxy", "*", "--max-time", "30", "-D", head, "-o", body, *options]
        if url.startswith("https:") and "--cacert" not in options and "-k" not in options:
            argv += ["--cacert", self.root]
        if data is not None:
            argv += ["--data-binary", "@-"]
        done = run(*argv, url, input=data if data is not None else b"", text=False)
        check(done.returncode == 0, "curl", url, done.stderr.decode())
        lines = head.read_text(errors="replace").replace("\r", "").strip().split("\n\n")[-1].splitlines()
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        content = body.read_bytes() if body.exists() else b""
        head.unlink(missing_ok=True)
        body.unlink(missing_ok=True)
        return Reply(int(lines[0].split()[1]), headers, content)

    def post_csr(self, csr, *options, operation="simpleenroll", label="", raw=None,
                 content_type="application/pkcs10"):
        url = self.est + (f"/{label}" if label else "") + "/" + operation
        return self.http(url, "-H", f"Content-Type: {content_type}", *options,
                         data=raw if raw is not None else base64.b64encode(csr))

    def certificate_of(self, reply, name):
        """Writes NAME.pem from an EST answer, and returns its path."""
        der = base64.b64decode(reply.body)
        done = run("openssl", "pkcs7", "-inform", "DER", "-print_certs", input=der, text=False)
        check(b"BEGIN CERTIFICATE" in done.stdout, "no certificate in the answer")
        check(done.stdout.count(b"BEGIN CERTIFICATE") == 1, "more than one certificate in the answer")
        path = self.path(name + ".pem")
        path.write_bytes(run("openssl", "x509", input=done.stdout, text=False).stdout)
        return path

    def enroll(self, name, *add_options, password=None, kind="ec", san=None, label=""):
        """Registers NAME (unless a password is given) and enrols it: path of its certificate."""
        if password is None:
            password = self.device(name, *add_options)["password"]
        reply = self.post_csr(self.csr(name, kind=kind, san=san), "-u", f"{name}:{password}", label=label)
        check(reply.status == 200, name, reply.status, reply.text)
        return self.certificate_of(reply, name)

    def serial(self, pem):
        out = run("openssl", "x509", "-in", pem, "-noout", "-serial").stdout
        return out.strip().partition("=")[2].lower()

    def ocsp(self, pem, *options, issuer="devices"):
        """good, revoked, unknown, or the error word."""
        done = run("openssl", "ocsp", "-issuer", self.dir / "trust" / f"{issuer}.pem", "-CAfile", self.root,
                   *options, "-cert", pem, "-url", self.va + "/ocsp", "-timeout", "10")
        both = done.stdout + done.stderr
        word = re.search(r": (good|revoked|unknown)", both)
        if word:
            check("Response verify OK" in both, both)
            return word.group(1)
        error = re.search(r"Responder Error: (\w+)", both)
        return error.group(1) if error else both


def main(names, **options):
    """Runs every test_… of the file on one instance; a test that takes no argument makes its own."""
    tests = [(n, f) for n, f in names.items() if n.startswith("test_") and callable(f)]
    if len(sys.argv) > 1:
        tests = [(n, f) for n, f in tests if any(a in n for a in sys.argv[1:])]
    shared, failed = None, 0
    for name, test in tests:
        began = time.monotonic()
        try:
            if test.__code__.co_argcount == 0:
                test()
            else:
                if shared is None:
                    shared = Instance(pathlib.Path(sys.argv[0]).stem, **options)
                test(shared)
            print(f"ok {name} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception as e:  # a scenario reports and goes on with the next
            failed += 1
            print(f"FAIL {name}: {e}", flush=True)
            if not isinstance(e, Failure):
                traceback.print_exc(file=sys.stdout)
            if shared is not None:
                print("  log: " + "\n  log: ".join(shared.log_text().splitlines()[-15:]), flush=True)
    if shared is not None:
        try:
            code = shared.stop()
            check(code == 0, "serve ended with", code)
            check("ERROR: AddressSanitizer" not in shared.log_text() and "runtime error:" not in shared.log_text()
                  and "LeakSanitizer" not in shared.log_text(), "a sanitizer spoke:", shared.log_text()[-3000:])
        except Failure as e:
            failed += 1
            print(f"FAIL stop: {e}")
        shared.close()
    print(f"{len(tests) - failed} passed, {failed} failed" if failed <= len(tests) else f"0 passed, {failed} failed")
    sys.exit(1 if failed else 0)
