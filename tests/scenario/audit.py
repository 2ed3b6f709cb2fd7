#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What happened stands in the audit, in order, and can't be changed without being found."""
import json
import signal
import shutil
import sqlite3

from harness import Instance, check, equal, main, wait_for


def records(i):
    rows = i.json("audit", "show")["records"]
    return [json.loads(r["record"]) if isinstance(r.get("record"), str) else r for r in rows]


def test_every_act_leaves_a_record__AUD_01__AUD_03__AUD_04(i):
    pem = i.enroll("audit-1")
    i.post_csr(i.csr("audit-1"), "-u", "audit-1:wrong")
    i.post_csr(i.csr("audit-1"))
    i.cli("cert", "revoke", i.serial(pem), "--reason", "keyCompromise")
    i.cli("crl", "publish", "devices")
    found = records(i)
    text = json.dumps(found)
    check(i.serial(pem) in text, "the serial")
    events = {r["event"] for r in found}
    for part in ("issue", "revok", "crl", "device"):
        check(any(part in e for e in events), part, sorted(events))
    check(any(r["outcome"] != "success" and "audit-1" in json.dumps(r) for r in found), "the refusal", found[-6:])
    for r in found:
        for member in ("seq", "time", "host", "instance", "event", "outcome", "actor", "prev_hash"):
            check(member in r, member, r)
    equal([r["seq"] for r in found], list(range(found[0]["seq"], found[0]["seq"] + len(found))), "no gap")


def test_changes_around_the_service__AUD_02__AUD_07():
    i = Instance("audit-c")
    i.device("change-1")
    i.json("device", "password", "change-1")
    bound = i.json("acme", "eab", "add", "change-2", "--san", "dns:change-2.hospital.example")
    i.json("acme", "eab", "disable", bound["kid"])
    out = i.home / "b.tar"
    i.cli("backup", "create", "--out", out)
    config = i.dir / "caduceus.yaml"
    profile = i.dir / "profiles" / "device.yaml"
    config.write_text("# another comment\n" + config.read_text())
    profile.write_text(profile.read_text().replace("90d", "80d"))
    i.serve.send_signal(signal.SIGHUP)
    wait_for("the change", lambda: any(r["event"] == "config.change" for r in records(i)), 10)
    i.stop()
    # Another program, another schema: as a new version finds them.
    c = sqlite3.connect(i.dir / "caduceus.db")
    c.execute("update meta set value = '0.0.9+abc' where key = 'program_seen'")
    c.execute("update meta set value = '1' where key = 'schema_seen'")
    c.commit()
    c.close()
    i.start()
    found = records(i)
    by = {}
    for r in found:
        by.setdefault(r["event"], []).append(r)
    for event in ("service.start", "service.stop", "config.change", "profile.load", "device.add", "device.password", "backup.create",
                  "ca.create", "service.update", "database.migrate", "audit.export", "acme.eab.add", "acme.eab.disable"):
        check(event in by, event, sorted(by))
    equal(by["acme.eab.add"][0]["detail"]["kid"], bound["kid"])
    equal([by[f"acme.eab.{done}"][0]["object"]["id"] for done in ("add", "disable")], ["change-2"] * 2)
    check(bound["hmac_key"] not in str(found), "the audit keeps a key")
    changed = by["config.change"][-1]["detail"]
    check(len(changed["before"]) == 64 and len(changed["now"]) == 64 and changed["before"] != changed["now"], changed)
    equal(by["service.update"][0]["detail"]["before"], "0.0.9+abc")
    equal(by["database.migrate"][0]["detail"]["before"], "1")
    loaded = [r for r in by["profile.load"] if r["object"]["id"] == "device"]
    check(loaded[-1]["detail"]["before"] != loaded[-1]["detail"]["sha256"], loaded[-1])
    equal((len(by["service.start"]), len(by["service.stop"])), (3, 2))  # init's own among them
    i.stop()
    # A record that was changed is found by the next start: said, recorded, and the service goes on.
    c = sqlite3.connect(i.dir / "caduceus.db")
    c.execute("update audit set record = (select record from audit where seq = 3) where seq = (select max(seq) - 3 from audit)")
    c.commit()
    c.close()
    i.start()
    check("the audit was changed" in i.log_text(), i.log_text()[-1500:])
    failed = [r for r in records(i) if r["event"] == "audit.verify"]
    equal(len(failed), 1)
    check(failed[0]["outcome"] == "failed" and failed[0]["detail"]["bad_seq"], failed)
    i.enroll("change-3")
    equal(i.cli("audit", "verify", code=None).returncode, 1)
    i.stop()


def test_verify_accepts_and_finds__AUD_10():
    i = Instance("audit-v")
    i.enroll("v-1")
    i.cli("audit", "verify")
    i.stop()
    i.cli("audit", "verify")
    db = i.dir / "caduceus.db"
    keep = i.home / "keep.db"
    source = sqlite3.connect(db)
    source.execute("pragma wal_checkpoint(truncate)")
    source.close()
    shutil.copy(db, keep)
    table, columns = None, None
    connection = sqlite3.connect(db)
    for name, in connection.execute("select name from sqlite_master where type='table'"):
        names = [r[1] for r in connection.execute(f"pragma table_info({name})")]
        if "record" in names and "seq" in names:
            table = name
    check(table, "no audit table")
    count = connection.execute(f"select count(*) from {table}").fetchone()[0]
    check(count > 5)
    seq = connection.execute(f"select seq from {table} order by seq limit 1 offset {count // 2}").fetchone()[0]
    record = connection.execute(f"select record from {table} where seq = ?", (seq,)).fetchone()[0]
    connection.close()
    # Every fifth octet of what is kept of the record, whatever it stands for; a record that is gone; two that changed places.
    if isinstance(record, str):
        record = record.encode()
    changed = [record[:at] + (b"0" if record[at:at + 1] != b"0" else b"1") + record[at + 1:] for at in range(0, len(record), 5)]
    changed += [record[:len(record) // 2], record + b"0", b"", b"\x01", b"\x01\xff\xff\xff\x7f" + record]
    sqls = [(f"update {table} set record = ? where seq = {seq}", (text,)) for text in changed]
    sqls += [(f"delete from {table} where seq = {seq}", ()),
             (f"delete from {table} where seq = (select max(seq) from {table})", ()),
             (f"update {table} set hash = (select hash from {table} where seq = {seq - 1}) where seq = {seq}", ()),
             (f"update {table} set record = (select record from {table} where seq = {seq - 1}) where seq = {seq}", ())]
    for sql, values in sqls:
        connection = sqlite3.connect(db)
        connection.execute(sql, values)
        connection.commit()
        connection.close()
        done = i.cli("audit", "verify", code=None)
        check(done.returncode == 1 and any(c.isdigit() for c in done.stdout + done.stderr), sql, values, done.returncode,
              done.stdout, done.stderr)
        for p in i.dir.glob("caduceus.db-*"):
            p.unlink()
        shutil.copy(keep, db)
    i.cli("audit", "verify")


if __name__ == "__main__":
    main(globals())
