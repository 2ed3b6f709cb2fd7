#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""FreeRADIUS and a supplicant: a device gets onto the network, and off it when it is revoked."""
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scenario"))
from harness import Failure, Instance, check, equal, free_port, main, run, wait_for

RADIUSD = """prefix = /usr
exec_prefix = /usr
localstatedir = {w}/run
logdir = {w}/log
raddbdir = {w}
run_dir = {w}/run
name = radiusd
libdir = /usr/lib/freeradius
pidfile = {w}/run/radiusd.pid
max_request_time = 30
cleanup_delay = 5
max_requests = 1024
log {{
  destination = stdout
}}
security {{
  max_attributes = 200
  reject_delay = 0
  status_server = no
  allow_core_dumps = no
}}
thread pool {{
  start_servers = 1
  max_servers = 2
  min_spare_servers = 1
  max_spare_servers = 1
}}
client loopback {{
  ipaddr = 127.0.0.1
  secret = {secret}
  require_message_authenticator = yes
}}
modules {{
  eap {{
    default_eap_type = tls
    timer_expire = 60
    ignore_unknown_eap_types = no
    cisco_accounting_username_bug = no
    max_sessions = 64
    tls-config common {{
      private_key_file = {key}
      certificate_file = {cert}
      ca_file = {ca}
      check_crl = no
      tls_min_version = "{version}"
      tls_max_version = "{version}"
      cipher_list = "DEFAULT"
      ecdh_curve = ""
      cache {{
        enable = no
      }}
      ocsp {{
        enable = yes
        override_cert_url = no
        url = "http://127.0.0.1:9/unused"
        use_nonce = yes
        timeout = 3
        softfail = no
      }}
    }}
    tls {{
      tls = common
    }}
  }}
}}
server default {{
  listen {{
    type = auth
    ipaddr = 127.0.0.1
    port = {port}
  }}
  authorize {{
    eap
  }}
  authenticate {{
    eap
  }}
}}
"""


class Radius:
    """A private radiusd on a loopback port with a certificate of the instance."""

    def __init__(self, i, name, cert, key, version):
        self.i, self.work, self.port = i, i.path("rad-" + name), free_port()
        self.secret = f"s{time.time_ns()}"
        for folder in ("", "run", "log"):
            (self.work / folder).mkdir(exist_ok=True)
        (self.work / "dictionary").write_text("")
        ca = self.work / "ca.pem"
        ca.write_text(i.root.read_text() + (i.dir / "trust" / "chain.pem").read_text())
        full = self.work / "cert.pem"
        full.write_text(cert.read_text() + (i.dir / "trust" / "chain.pem").read_text())
        (self.work / "radiusd.conf").write_text(RADIUSD.format(w=self.work, secret=self.secret, key=key, cert=full,
                                                               ca=ca, port=self.port, version=version))
        self.log = self.work / "radiusd.log"
        self.process = subprocess.Popen(
            ["freeradius", "-fxx", "-l", "stdout", "-d", str(self.work), "-n", "radiusd"], stdin=subprocess.DEVNULL,
            stdout=open(self.log, "w"), stderr=subprocess.STDOUT)

        def is_up():
            check(self.process.poll() is None, "radiusd ended:", self.log.read_text()[-1500:])
            return "Ready to process requests" in self.log.read_text()
        wait_for("radiusd", is_up, 20)

    def login(self, name, pem, key, version, domain=None):
        conf = self.work / f"{name}.conf"
        conf.write_text(f"""network={{
  key_mgmt=WPA-EAP
  eap=TLS
  identity="host/{name}"
  ca_cert="{self.i.root}"
  client_cert="{pem}"
  private_key="{key}"
  phase1="tls_disable_tlsv1_3={0 if version == "1.3" else 1}"
  {f'domain_match="{domain}"' if domain else ""}
}}
""")
        done = run("eapol_test", "-c", conf, "-a", "127.0.0.1", "-p", self.port, "-s", self.secret, "-t", "15", "-r",
                   "0", timeout=40)
        return done.returncode == 0 and done.stdout.rstrip().endswith("SUCCESS"), done.stdout

    def stop(self):
        self.process.kill()
        self.process.wait()


def radius_server(i, profile="radius"):
    path = i.path("radius-csr.der")
    path.write_bytes(i.csr("radius.example", san="DNS:radius.example"))
    i.cli("cert", "issue", "--profile", profile, "--csr", path, "--out", i.path("radius.pem"))
    return i.path("radius.pem"), i.key("radius.example")


def test_accepted_then_revoked_then_rejected__OCSP_22__OCSP_12__QRK_08__X509_18__X509_19(i):
    server = radius_server(i)
    for version in ("1.2", "1.3"):
        name = "pump-tls" + version.replace(".", "")
        radius = Radius(i, name, *server, version)
        try:
            pem = i.enroll(name)
            accepted, log = radius.login(name, pem, i.key(name), version, "radius.example")
            check(accepted, f"TLS {version} refused:", log[-800:], radius.log.read_text()[-2500:])
            began = time.monotonic()
            i.cli("cert", "revoke", i.serial(pem), "--reason", "keyCompromise")
            mark = len(radius.log.read_text())
            accepted, log = radius.login(name, pem, i.key(name), version, "radius.example")
            took = time.monotonic() - began
            check(not accepted, f"TLS {version}: a revoked device got onto the network")
            said = radius.log.read_text()[mark:]
            check("Cert status: revoked" in said, "rejected, but not because it is revoked:", said[-2500:])
            check(took < 5, f"{took:.1f} s from revocation to rejection")
            print(f"  TLS {version}: revoked and rejected within {took:.2f} s")
        finally:
            radius.stop()


def test_device_can_not_pose_as_radius_server(i):
    fake = i.enroll("fake-radius", "--san", "dns:radius.example", san="DNS:radius.example,DNS:fake-radius")
    victim = i.enroll("victim-1")
    for version in ("1.2", "1.3"):
        radius = Radius(i, "fake" + version, fake, i.key("fake-radius"), version)
        try:
            accepted, log = radius.login("victim-1", victim, i.key("victim-1"), version)
            check(not accepted, "the supplicant trusted a pump as its RADIUS server")
            check("unsupported certificate purpose" in log or "unsuitable certificate purpose" in log, log[-1500:])
        finally:
            radius.stop()


if __name__ == "__main__":
    main(globals())
