#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The power goes: what was written and not synced is lost, wholly or in part. What a client holds is in the database and
the audit, what was confirmed as revoked is revoked, no CRL number comes twice, the token opens.

The shim writes down what every role does to files below DIR. From it the disk is made anew: files as of their last sync,
folders as of theirs; and in the other kind of loss a random part of the later pages and names besides, as real disks do."""
import os
import random
import struct
import threading
import time

from campaign import Officer
from faults import *
from harness import LONG, Failure, main
from sandbox import SANITIZED

LOSSES = int(os.environ.get("CADUCEUS_LOSSES", ("25" if SANITIZED else "100") if LONG else "12"))
SEED = int(os.environ.get("CADUCEUS_SEED", str(random.randrange(10**9))))
PAGE, SECTOR = 4096, 512
HEAD = struct.Struct("<IIQqII")
CA_ISSUE, RA_ENROLL, RA_OFFICER = 24, 36, 39

# Where the power goes, when it is no random moment.
MOMENTS = [
    None,
    dict(role=RA, op=SYNC, target=WAL, n=3),
    dict(role=RA, op=SEND, target=to(CA), type=CA_ISSUE),
    dict(role=RA, arm=(RECEIVE, to(FRONT), RA_ENROLL), op=SEND, target=to(FRONT), same_id=True, phase=AFTER),
    dict(role=RA, arm=(RECEIVE, to(OFFICERS), RA_OFFICER), op=SEND, target=to(OFFICERS), same_id=True, phase=AFTER),
    "crl", dict(role=RA, op=RENAME, target=CRL, phase=AFTER),
    "crl", dict(role=RA, op=SYNC, target=CRL_FOLDER, phase=AFTER),
    "ca", dict(role=CA, op=RENAME, target=COUNTER, phase=AFTER),
    "ca", dict(role=CA, op=TRUNCATE, target=TOKEN, phase=AFTER),
    "ca", dict(role=CA, op=FLUSH, target=TOKEN, phase=AFTER),
    "responder", dict(role=RA, op=SYNC, target=WAL, n=6, phase=AFTER),
]


class Node:
    def __init__(self, content=b""):
        self.now, self.sure, self.later = bytearray(content), bytes(content), []

    def change(self, what):
        self.later.append(what)
        apply(self.now, what)


def apply(content, what):
    kind, at, data = what
    if kind == "cut":
        del content[at:]
        content.extend(bytes(at - len(content)))
    else:
        content.extend(bytes(max(0, at - len(content))))
        content[at:at + len(data)] = data


def pieces(what):
    """A write as the disk gets it: page by page."""
    kind, at, data = what
    if kind == "cut":
        return [what]
    out, k = [], 0
    while k < len(data):
        n = min(PAGE - (at + k) % PAGE, len(data) - k)
        out.append(("put", at + k, data[k:k + n]))
        k += n
    return out


class Disk:
    """What would be left of DIR."""

    def __init__(self, root):
        self.root, self.node, self.names, self.sure, self.later = root, {}, {}, {}, []
        for path in files(root):
            n = Node(path.read_bytes())
            self.node[path.stat().st_ino] = n
            self.names[str(path)] = self.sure[str(path)] = n
        self.unsynced = 0

    def of(self, ino):
        return self.node.setdefault(ino, Node())

    def replay(self, journal):
        at = 0
        while at + HEAD.size <= len(journal):
            magic, op, ino, where, n, m = HEAD.unpack_from(journal, at)
            check(magic == 0x64616361, "the journal is torn at", at)
            a = journal[at + HEAD.size:at + HEAD.size + n]
            b = journal[at + HEAD.size + n:at + HEAD.size + n + m]
            at += HEAD.size + n + m
            self.one(op, ino, where, a, b)

    def one(self, op, ino, where, a, b):
        if op == CREATE:
            self.node[ino] = Node()
            self.name(a.decode(), self.node[ino])
        elif op == WRITE:
            self.of(ino).change(("put", where, a))
        elif op == TRUNCATE:
            self.of(ino).change(("cut", where, b""))
        elif op == SNAPSHOT:
            if a != self.of(ino).now:
                self.of(ino).change(("cut", len(a), b""))
                self.of(ino).change(("put", 0, a))
        elif op == SYNC and ino in self.node:
            n = self.node[ino]
            n.sure, n.later = bytes(n.now), []
        elif op == SYNC:
            self.folder_synced(ino)
        elif op == RENAME:
            moved = self.names.pop(a.decode(), None)
            self.later.append((a.decode(), None))
            self.name(b.decode(), moved)
        elif op == UNLINK:
            self.names.pop(a.decode(), None)
            self.later.append((a.decode(), None))

    def name(self, path, node):
        self.names[path] = node
        self.later.append((path, node))

    def folder_synced(self, ino):
        rest = []
        for path, node in self.later:
            if os.stat(os.path.dirname(path)).st_ino != ino:
                rest.append((path, node))
            else:
                self.set(path, node)
        self.later = rest

    def set(self, path, node):
        if node is None:
            self.sure.pop(path, None)
        else:
            self.sure[path] = node

    def lose(self, rnd):
        """rnd None: all that was not synced. Otherwise a random part of it."""
        self.unsynced = sum(len(n.later) for n in self.node.values()) + len(self.later)
        if rnd is not None:
            for path, node in self.later[:rnd.randint(0, len(self.later))]:
                self.set(path, node)
        for path in files(self.root):
            if str(path) not in self.sure:
                path.unlink()
        for path, node in self.sure.items():
            content = bytearray(node.sure)
            for what in node.later if rnd is not None else []:
                for piece in pieces(what):
                    if rnd.random() < 0.5:
                        if piece[0] == "put" and rnd.random() < 0.2:
                            piece = ("put", piece[1], piece[2][:rnd.randrange(0, len(piece[2]) + 1, SECTOR)])
                        apply(content, piece)
            self.put(path, bytes(content))

    def put(self, path, content):
        made = not os.path.exists(path)
        with open(path, "wb" if made else "r+b") as f:
            f.truncate(0)
            f.write(content)
        if made:
            folder = os.stat(os.path.dirname(path))
            os.chown(path, folder.st_uid, folder.st_gid)
            os.chmod(path, 0o644 if "/crl/" in path or "/trust/" in path else 0o600)


def files(root):
    """What a reboot keeps: neither run/ nor SQLite's shared index, which is made anew."""
    return [p for p in sorted(root.rglob("*")) if p.is_file() and not p.name.endswith("-shm")
            and p.relative_to(root).parts[0] not in ("run", "log")]


class Power:
    def __init__(self, i):
        self.i, self.serials, self.slowest, self.lost, self.losses = i, {}, 0.0, 0, 0
        i.stop()
        self.renew()

    def renew(self):
        self.disk = Disk(self.i.dir)
        self.i.journal_path.write_bytes(b"")
        self.i.set(JOURNAL=1, STATE=0)
        self.i.start()

    def goes(self, act, moment, rnd, load):
        i = self.i
        if act == "ca":
            i.order(act=1, **moment)
            kill(i.roles().get("ca"))
        elif act == "crl":
            i.order(act=1, **moment)
            quietly(i, "crl", "publish", "devices")
        elif act == "responder":
            own = [c["serial"] for c in i.certificates("--ca", "devices", "--profile", "ocsp", "--status", "valid")]
            i.order(act=1, **moment)
            for s in own:
                quietly(i, "cert", "revoke", s, "--reason", "superseded")
        elif moment is not None:
            i.order(act=1, **moment)
        else:
            time.sleep(random.Random(rnd.random()).random())
            i.set(FROZEN=1)
        wait_for(f"the power to go at {moment}", lambda: i.get(FROZEN), 20)
        time.sleep(0.02)
        i.kill_everything()
        i.set(FROZEN=0, JOURNAL=0)
        self.disk.replay(i.journal_path.read_bytes())
        self.disk.lose(rnd if self.losses % 2 else None)
        self.lost += self.disk.unsynced
        self.losses += 1

    def comes_back(self, load, officer):
        i, had, began = self.i, len(load.held), time.monotonic()
        held, revoked = list(load.held), list(officer.revoked)
        self.renew()
        try:
            wait_for("enrolments to go on", lambda: len(load.held) > had, 20)
        except Failure as e:
            raise Failure(f"after loss {self.losses}: {e}; clients heard {load.errors[-3:]}; roles {i.roles()}; log: {i.log_text()[-3000:]}")
        self.slowest = max(self.slowest, time.monotonic() - began)
        rows = {c["serial"]: c["status"] for c in i.certificates()}
        for pem in held:
            check(self.serial(pem) in rows, "in a client's hand, but not in the database:", pem)
        for pem in revoked:
            equal(rows[self.serial(pem)], "revoked", "confirmed as revoked:", pem)
        for pem in revoked[-2:] + held[-1:]:
            if pem in revoked:
                equal(i.answer(pem), "revoked")
            else:
                check(i.answer(pem) in ("good", "revoked"))
        i.cli("audit", "verify")

    def serial(self, pem):
        if pem not in self.serials:
            self.serials[pem] = serial_of(pem)
        return self.serials[pem]


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except (TypeError, ProcessLookupError):
        pass


def quietly(i, *argv):
    """Its answer may never come."""
    threading.Thread(target=lambda: i.cli(*argv, code=None), daemon=True).start()


def moments():
    """(act, order), round and round."""
    while True:
        act = None
        for m in MOMENTS:
            if isinstance(m, str):
                act = m
            else:
                yield act, m
                act = None


def test_power_loss__X509_46__CRL_02__AUD_12():
    i = Shimmed("power", journal=True)
    rnd = random.Random(SEED)
    print(f"  seed {SEED}", flush=True)
    p = Power(i)
    with Load(i, 2) as load, Officer(i, load) as officer, Asker(i) as asker:
        wait_for("some load", lambda: len(load.held) > 3, 30)
        for (act, moment), _ in zip(moments(), range(LOSSES)):
            had = len(load.held)
            wait_for("some load", lambda: len(load.held) > had + 2, 30)
            p.goes(act, moment, rnd, load)
            p.comes_back(load, officer)
        wait_for("status", lambda: i.cli("status", code=None).returncode == 0, 30)
    print(f"  {p.losses} losses of power, {p.lost} writes and names that were not synced by then, {len(load.held)} certificates "
          f"held, {len(officer.revoked)} revoked; whole again after {p.slowest:.1f} s at most, the start included", flush=True)
    check(p.lost > 0, "nothing was ever unsynced: the shim does not see the writes")
    check(not officer.wrong, "good again:", officer.wrong[:3])
    asker.check()
    everything = str(i.json("audit", "show"))
    for pem in load.held:
        check(p.serial(pem) in everything, "in a client's hand, but not in the audit:", pem)
    equal(len({p.serial(x) for x in load.held}), len(load.held), "a serial was given twice")
    crl_numbers_rise(i)
    i.cli("crl", "publish", "devices")
    i.enroll("at-the-end")
    equal(i.stop(), 0)
    no_sanitizer_spoke(i)


def test_a_key_outlives_the_power():
    """SoftHSM syncs nothing: a responder's new key, whose certificate is committed and in use, must be on the disk."""
    i = Shimmed("power-key", journal=True)
    pem = i.enroll("before")
    p = Power(i)
    old = [c["serial"] for c in i.certificates("--ca", "devices", "--profile", "ocsp")]
    equal(len(old), 1)
    i.cli("cert", "revoke", old[0], "--reason", "superseded")
    wait_for("another responder", lambda: len(i.certificates("--ca", "devices", "--profile", "ocsp")) == 2, 20)
    equal(i.answer(pem), "good")
    p.goes(None, None, random.Random(1), None)
    p.renew()
    equal(i.answer(pem), "good")
    check("the signer refuses" not in i.log_text(), i.log_text()[-1500:])
    i.enroll("after")
    equal(i.stop(), 0)
    no_sanitizer_spoke(i)


if __name__ == "__main__":
    main(globals())
