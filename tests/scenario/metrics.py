#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""/metrics: what a hospital's Prometheus scrapes."""
import re
import subprocess
import time
import urllib.error
import urllib.request

from harness import BUILD, Instance, check, equal, free_port, main

PORT = free_port()
URL = f"http://127.0.0.1:{PORT}/metrics"
SAMPLE = re.compile(r'^([a-z_]+)(\{[a-z]+="[^"\n]*"(,[a-z]+="[^"\n]*")*\})? (NaN|-?[0-9.]+)$')


def scrape():
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(URL, timeout=10) as r:
        equal(r.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        return r.read().decode()


def value(text, start):
    for line in text.splitlines():
        if line.startswith(start):
            return float(line.rsplit(" ", 1)[1])
    return None


def make():
    return Instance("metrics", settings=[f"listen.metrics=127.0.0.1:{PORT}"])


def test_exposition_and_counts__OPS_01__OPS_02():
    i = make()
    pem = i.enroll("metric-1")
    i.device("metric-2")
    refused = subprocess.run(["curl", "-s", "--cacert", str(i.root), "-u", "metric-2:wrong", "-H", "Content-Type: application/pkcs10",
                              "--data-binary", "AAAA", f"{i.est}/simpleenroll"], capture_output=True, text=True)
    check("wrong" in refused.stdout, refused)
    i.cli("cert", "revoke", i.serial(pem), "--reason", "superseded")
    i.ocsp(pem)
    i.cli("crl", "publish")
    end = time.monotonic() + 15
    while True:
        text = scrape()
        if value(text, "caduceus_ocsp_responses_total") and value(text, 'caduceus_hsm_op_duration_seconds_count') and \
                value(text, 'caduceus_requests_total{listener="front"'):
            break
        check(time.monotonic() < end, text)
        time.sleep(0.5)
    # Well formed: HELP and TYPE once a family, before its samples, none twice.
    seen, family = set(), None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
            check(family not in seen, "twice:", family)
            seen.add(family)
        elif line.startswith("# TYPE "):
            check(line.split()[2] == family and line.split()[3] in ("counter", "gauge", "histogram"), line)
        else:
            m = SAMPLE.match(line)
            check(m and re.fullmatch(family + "(_bucket|_sum|_count)?", m.group(1)), line)
    samples = [x.rsplit(" ", 1)[0] for x in text.splitlines() if not x.startswith("#")]
    equal(len(samples), len(set(samples)))
    for name in ("caduceus_issued_total", "caduceus_rejected_total", "caduceus_revoked_total", "caduceus_request_duration_seconds",
                 "caduceus_hsm_op_duration_seconds", "caduceus_hsm_up", "caduceus_crl_next_update_timestamp_seconds",
                 "caduceus_crl_entries", "caduceus_ocsp_responses_total", "caduceus_ca_not_after_timestamp_seconds",
                 "caduceus_certs_expiring", "caduceus_audit_seq", "caduceus_db_up", "caduceus_clock_offset_seconds",
                 "caduceus_build_info", "caduceus_requests_total", "caduceus_check_ok"):
        check(name in seen, name, "is missing")
    equal(value(text, 'caduceus_issued_total{protocol="est",profile="device",ca="devices"}'), 1.0)
    equal(value(text, 'caduceus_rejected_total{reason="unauthenticated"}'), 1.0)
    equal(value(text, 'caduceus_revoked_total{reason="superseded"}'), 1.0)
    equal(value(text, 'caduceus_crl_entries{ca="devices"'), 1.0)
    equal(value(text, "caduceus_hsm_up"), 1.0)
    # Bounded labels: no serial, name or address.
    for secret in (i.serial(pem), "metric-1", "127.0.0.1"):
        check(secret not in text, secret)
    # GET alone, /metrics alone, and not where devices and the world come.
    for url, status in ((URL + "x", 404), (f"{i.va}/metrics", 404)):
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10)
            check(False, url)
        except urllib.error.HTTPError as e:
            equal(e.code, status)
    done = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", "-d", "x", URL], capture_output=True, text=True)
    check(done.stdout in ("405", "413"), done.stdout)


def test_a_taken_port_is_no_reason_to_stay_down():
    import socket
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(1)
    i = Instance("metrics-2", settings=[f"listen.metrics=127.0.0.1:{s.getsockname()[1]}"])
    check("metrics are not served" in i.log_text(), i.log_text())
    i.enroll("metric-3")
    s.close()


if __name__ == "__main__":
    main(globals())
