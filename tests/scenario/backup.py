#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Backup while devices enrol, restore on a clean machine, an older backup, and an older database."""
import base64
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import tarfile
import threading
import time

from harness import BUILD, Failure, Instance, check, equal, main, run
from sandbox import USERS


def caduceus(*argv, code=0):
    done = run(BUILD / "caduceus", *argv, timeout=120)
    if code is not None:
        equal(done.returncode, code, argv, done.stdout, done.stderr)
    return done


def recipient(i, name):
    key, cert = i.home / f"{name}.key", i.home / f"{name}.pem"
    done = run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-subj", f"/CN={name}", "-days", "9")
    equal(done.returncode, 0, done.stderr)
    return key, cert


def give_token(old, new):
    """What an HSM's own backup brings: the token and its PIN."""
    for name in ("token", "hsm.pin"):
        source, target = old / name, new / name
        shutil.copytree(source, target) if source.is_dir() else shutil.copy2(source, target)


def take_over(i, directory):
    """The instance that was restored, served at the old one's ports."""
    shutil.rmtree(i.dir)
    os.rename(directory, i.dir)


def test_backup_under_load_and_restore__OPS_13__OPS_14():
    i = Instance("backup")
    kept = i.enroll("before-1")
    revoked = i.enroll("before-2")
    i.cli("cert", "revoke", i.serial(revoked), "--reason", "keyCompromise")
    (ka, a), (kb, b) = recipient(i, "alice"), recipient(i, "bob")
    stop, errors, made = threading.Event(), [], []

    def load():
        n = 0
        while not stop.is_set():
            try:
                made.append(i.enroll(f"load-{n}"))
            except Failure as e:
                errors.append(e)
            n += 1

    worker = threading.Thread(target=load)
    worker.start()
    out = i.home / "one.cms"
    done = i.cli("backup", "create", "--out", out, "--to", a, "--to", b)
    stop.set()
    worker.join()
    check(not errors, errors[:1])
    check("keys are not in it" in done.stderr, done.stderr)
    equal(out.stat().st_mode & 0o777, 0o600)
    # Any one recipient opens it; nobody else; nothing is in the clear.
    for key in (ka, kb):
        said = json.loads(caduceus("backup", "verify", out, "--key", key, "--json").stdout)
        check(said["ok"] and said["files"] > 10, said)
    stranger, _ = recipient(i, "eve")
    check("none of the recipients" in caduceus("backup", "verify", out, "--key", stranger, code=1).stderr)
    check("--key" in caduceus("backup", "verify", out, code=1).stderr)
    check(b"before-1" not in out.read_bytes())
    equal(list((i.dir / "backup").iterdir()), [])
    plain = i.home / "two.tar"
    check("not encrypted" in i.cli("backup", "create", "--out", plain).stderr)
    names = tarfile.open(plain).getnames()
    check(not [n for n in names if "token" in n or "pin" in n or "tls" in n], names)
    pin = (i.dir / "hsm.pin").read_bytes().strip()
    check(pin not in plain.read_bytes())
    # Mistakes.
    check("twice" in i.cli("backup", "create", "--out", i.home / "x", "--to", a, code=2).stderr)
    check("exists" in i.cli("backup", "create", "--out", plain, code=1).stderr)
    check("certificate" in i.cli("backup", "create", "--out", i.home / "x", "--to", ka, "--to", kb, code=1).stderr)
    check(not (i.home / "x").exists())
    # After the backup: one more revocation, and CRLs that it does not know.
    i.cli("cert", "revoke", i.serial(kept), "--reason", "superseded")
    i.cli("crl", "publish")
    before = i.json("ca", "show", "devices")["crl_number"]
    i.stop()
    i.cli("backup", "create", code=5)

    fresh = i.home / "fresh"
    caduceus("restore", out, "--key", ka, "--dir", fresh)
    check("not empty" in caduceus("restore", out, "--key", ka, "--dir", fresh, code=1).stderr)
    give_token(i.dir, fresh)
    take_over(i, fresh)
    # Without a decision nothing is served: what was revoked since would be good again.
    refused = caduceus("serve", "--dir", i.dir, code=None)
    check(refused.returncode != 0 and "--accept-rollback" in refused.stderr, refused.stderr)
    caduceus("restore", "--accept-rollback", "--dir", i.dir)
    check("nothing to accept" in caduceus("restore", "--accept-rollback", "--dir", i.dir, code=1).stderr)
    i.start()
    equal(i.ocsp(revoked), "revoked")
    i.cli("cert", "revoke", i.serial(kept), "--reason", "superseded")  # from the log kept elsewhere
    equal(i.ocsp(kept), "revoked")
    shown = i.json("ca", "show", "devices")["crl_number"]
    check(shown > before, "CRL number used twice:", shown, before)
    i.enroll("after-restore")
    i.cli("audit", "verify")
    check(any('"restore.accept"' in r["record"] for r in i.json("audit", "show")["records"]), "no audit record")


def test_damaged_and_hostile_backups__OPS_13():
    i = Instance("backup-bad")
    i.enroll("bad-1")
    good = i.home / "good.tar"
    i.cli("backup", "create", "--out", good)
    i.stop()
    data = good.read_bytes()

    def refused(name, content, says=""):
        path = i.home / name
        path.write_bytes(content)
        done = caduceus("backup", "verify", path, code=1)
        check(says in done.stderr and done.stderr.strip(), name, done.stderr)
        done = caduceus("restore", path, "--dir", i.home / "r", code=1)
        check(not (i.home / "r").exists(), name)

    refused("empty", b"")
    refused("noise", os.urandom(5000))
    refused("sealed", b"\x30\x82" + os.urandom(3000))
    refused("cut", data[:len(data) // 2])
    at = data.index(b"SQLite format 3") + 5000
    refused("bit", data[:at] + bytes([data[at] ^ 1]) + data[at + 1:], "damaged")

    def tar(members):
        path = i.home / "t.tar"
        with tarfile.open(path, "w") as t:
            for name, content, kind in members:
                info = tarfile.TarInfo(name)
                info.type = kind
                info.size = len(content) if kind == tarfile.REGTYPE else 0
                info.linkname = "/etc/passwd" if kind != tarfile.REGTYPE else ""
                import io
                t.addfile(info, io.BytesIO(content))
        return path.read_bytes()

    for name in ("../evil.pem", "/etc/evil.pem", "trust/../../evil.pem", "hsm.pin", "token/x", "trust/.evil.pem", "profiles/a/b.yaml"):
        refused("path", tar([("manifest.json", b"{}", tarfile.REGTYPE), (name, b"x", tarfile.REGTYPE)]), "no backup")
    refused("link", tar([("caduceus.db", b"", tarfile.SYMTYPE)]), "no backup")
    refused("manifest", tar([("manifest.json", b'{"format":2,"files":[]}', tarfile.REGTYPE)]), "manifest")
    with tarfile.open(good) as t:
        whole = [(m.name, t.extractfile(m).read(), tarfile.REGTYPE) for m in t.getmembers()]
    caduceus("backup", "verify", good)
    refused("unlisted", tar([*whole, ("profiles/evil.yaml", b"name: evil\n", tarfile.REGTYPE)]), "does not list")
    refused("nodb", tar([("manifest.json", b'{"format":1,"files":[]}', tarfile.REGTYPE)]), "database")
    refused("more", tar([("manifest.json", b'{"format":1,"files":[{"name":"../x","sha256":"","size":0}]}', tarfile.REGTYPE)]))
    check("No such file" in caduceus("backup", "verify", i.home / "nosuch", code=1).stderr)


def der_of(i, serial):
    return base64.b64decode(i.json("cert", "show", serial)["der"])


def as_schema_1(i):
    """The instance's database as the first version would have kept it: plain, in its own tables. The service is killed: a stop
    is a record, too."""
    certificates = {}
    for c in i.certificates():
        certificates[c["serial"]] = der_of(i, c["serial"])
    records = [r["record"] for r in i.json("audit", "show")["records"]]
    i.serve.kill()
    i.serve.wait()
    i.serve.stdout.close()
    i.serve = None
    db, old = i.dir / "caduceus.db", i.home / "old.db"
    now = sqlite3.connect(db)
    now.execute("attach ? as old", (str(old),))
    script = (pathlib.Path(__file__).resolve().parents[2] / "store" / "schema" / "001.sql").read_text()
    old_db = sqlite3.connect(old)
    old_db.executescript(script)
    old_db.close()
    for table in ("meta", "subject", "identifier", "credential", "generation", "profile", "profile_number", "node", "intent", "blocked_key"):
        now.execute(f"insert into old.{table} select * from main.{table}")
    now.execute("insert into old.certificate select * from main.certificate")
    for serial, der in certificates.items():
        now.execute("update old.certificate set der = ? where serial = ?", (der, bytes.fromhex(serial)))
    now.execute("insert into old.status select ref, serial, state, reason, revoked_at, not_after, seq from main.status")
    # A CRL that was signed between the question and the kill has a record, too; the chain may end before it.
    hashes = [h for h, in now.execute("select hash from audit order by seq")][:len(records)]
    equal(len(hashes), len(records))
    now.executemany("insert into old.audit values (?, ?, ?)", [(n + 1, r, h) for n, (r, h) in enumerate(zip(records, hashes))])
    now.commit()
    now.execute("pragma old.user_version = 1")
    now.commit()
    now.close()
    old_db = sqlite3.connect(old)
    old_db.execute("pragma journal_mode = wal")
    old_db.close()
    for path in (db.with_name("caduceus.db-wal"), db.with_name("caduceus.db-shm")):
        path.unlink(missing_ok=True)
    with open(db, "r+b") as f:  # its owner stays
        f.truncate(0)
        f.write(old.read_bytes())
    return certificates


def test_copies_are_left_to_nobody__OPS_13():
    i = Instance("backup-left")
    folder = i.dir / "backup"
    if USERS:
        # An officer who may ask for a copy, but not read it, makes none.
        folder.chmod(0o700)
        done = run("setpriv", "--reuid=caduceus-va", "--regid=caduceus-va", "--clear-groups", BUILD / "caduceus", "backup", "create",
                   "--out", "/tmp/none.tar", "--dir", i.dir)
        equal(done.returncode, 4, done.stderr)
        check("as root" in done.stderr, done.stderr)
    equal(list(folder.iterdir()), [])
    # What a crash left behind goes with the next start; what is no copy of ours stays.
    i.stop()
    for name in ("2026-01-02T03-04-05Z-00af.db", "2026-01-02T03-04-05Z-00af.db-journal", "hospital.cms", "Z-.db"):
        (folder / name).write_bytes(b"x")
    i.start()
    equal(sorted(p.name for p in folder.iterdir()), ["Z-.db", "hospital.cms"])
    # While it serves, with the next backup, once it is old enough that nobody reads it any more.
    for name, age in (("2026-01-02T03-04-05Z-00b0.db", 7200), ("2026-01-02T03-04-05Z-00b1.db", 60)):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (time.time() - age,) * 2)
    i.cli("backup", "create", "--out", i.home / "good.tar")
    equal(sorted(p.name for p in folder.iterdir()), ["2026-01-02T03-04-05Z-00b1.db", "Z-.db", "hospital.cms"])
    i.stop()


def test_an_older_database_is_migrated_when_asked__OPS_15():
    i = Instance("upgrade")
    first = i.enroll("old-1")
    for n in range(6):
        last = i.enroll(f"old-{n + 2}")
    i.cli("cert", "revoke", i.serial(last))
    certificates = as_schema_1(i)
    db = i.dir / "caduceus.db"
    refused = caduceus("serve", "--dir", i.dir, code=None)
    check(refused.returncode != 0 and "caduceus upgrade" in refused.stderr, refused.stderr)
    done = caduceus("upgrade", "--dir", i.dir)
    newest = len(list((pathlib.Path(__file__).resolve().parents[2] / "store" / "schema").glob("*.sql")))
    check(f"1 -> {newest}" in done.stdout, done.stdout)
    check((i.dir / f"caduceus.db.before-schema-{newest}").exists())
    check("already" in caduceus("upgrade", "--dir", i.dir).stdout)
    i.start()
    i.enroll("new-1")
    i.cli("audit", "verify")
    equal(i.ocsp(first), "good")
    equal(i.ocsp(last), "revoked")
    for serial, der in certificates.items():
        equal(der_of(i, serial), der)
    i.stop()
    # A program older than the database refuses it.
    c = sqlite3.connect(db)
    c.execute("pragma user_version = 99")
    c.commit()
    c.close()
    refused = caduceus("serve", "--dir", i.dir, code=None)
    check(refused.returncode != 0 and "newer program" in refused.stderr, refused.stderr)
    check("newer program" in caduceus("upgrade", "--dir", i.dir, code=1).stderr)


if __name__ == "__main__":
    main(globals())
