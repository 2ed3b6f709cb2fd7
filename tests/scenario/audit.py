#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What happened stands in the audit, in order, and can't be changed without being found."""
import json
import shutil
import sqlite3

from harness import BUILD, Failure, Instance, check, equal, main, run


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
    # Every thirteenth octet of the record, whatever it stands for; a record that is gone; two that changed places.
    changed = [record[:at] + ("0" if record[at] != "0" else "1") + record[at + 1:] for at in range(0, len(record), 13)]
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
