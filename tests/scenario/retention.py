#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What ended longer ago than retention.certificates goes, while certificates are issued; what must stay stays."""
import json
import re
import time

from harness import Instance, check, equal, main, wait_for


def sweeps(i):
    records = [json.loads(r["record"]) for r in i.json("audit", "show")["records"]]
    return [r for r in records if r["event"] == "cert.sweep"]


def test_expired_are_swept_while_others_enrol__OCSP_08():
    i = Instance("retention", ["retention.certificates=2s"], start=False)
    profile = i.dir / "profiles" / "device.yaml"
    whole = profile.read_text()
    profile.write_text(re.sub(r"(?m)^validity:.*$", "validity: 12s\nbackdate: 1s", whole))
    i.start()
    short = {f"short-{k}": i.enroll(f"short-{k}") for k in range(4)}
    i.cli("cert", "revoke", "short-1")
    i.cli("cert", "revoke", "short-2", "--reason", "keyCompromise")
    equal(i.ocsp(short["short-0"]), "good")
    profile.write_text(whole)
    i.cli("profile", "load", profile)
    left = lambda: {c["device"] for c in i.certificates("--profile", "device")}

    # Sweeping goes on by itself, once a minute; a reload looks at once.
    enrolled = []

    def gone():
        enrolled.append(f"long-{len(enrolled)}")
        i.enroll(enrolled[-1])
        i.serve.send_signal(1)
        return not {"short-0", "short-3"} & left()
    wait_for("the sweep", gone, 60)
    check(len(enrolled) > 1, "nothing was issued meanwhile")
    equal(left(), {"short-1", "short-2", *enrolled}, "revoked ones are on CRLs, a blocked key is never forgotten")
    wait_for("va to forget", lambda: i.ocsp(short["short-0"], "-no_nonce") == "revoked", 10)
    never = i.http(i.va + "/healthz")
    equal(never.status, 200)
    equal(i.ocsp(short["short-1"]), "revoked")
    equal(i.cli("cert", "show", i.serial(short["short-0"]), code=None).returncode, 3)

    records = sweeps(i)
    equal(sum(int(r["detail"]["certificates"]) for r in records), 2)
    check(all(r["detail"]["retention"] == "2s" for r in records), records)
    issued = {r["object"]["id"] for r in (json.loads(x["record"]) for x in i.json("audit", "show")["records"]) if r["event"] == "cert.issue"}
    check(i.serial(short["short-0"]) in issued, "the audit has forgotten it")
    equal(i.cli("audit", "verify").returncode, 0)
    wal = i.dir / "caduceus.db-wal"
    check(wal.stat().st_size < 8 << 20, "the WAL grows:", wal.stat().st_size)

    # A restart changes nothing: the feed goes on above all that was told.
    i.stop()
    i.start()
    equal(left(), {"short-1", "short-2", *enrolled})
    fresh = i.enroll("after-restart")
    equal(i.ocsp(fresh), "good")
    equal(i.stop(), 0)
    i.close()


def test_by_default_nothing_goes_for_years():
    i = Instance("keeps", start=False)
    profile = i.dir / "profiles" / "device.yaml"
    profile.write_text(re.sub(r"(?m)^validity:.*$", "validity: 3s\nbackdate: 1s", profile.read_text()))
    i.start()
    pem = i.enroll("kept")
    time.sleep(4)
    i.serve.send_signal(1)
    time.sleep(1)
    equal([c["status"] for c in i.certificates("--device", "kept")], ["expired"])
    equal(i.ocsp(pem, "-no_check_time"), "good")
    equal(sweeps(i), [])
    i.stop()
    i.close()


main(globals())
