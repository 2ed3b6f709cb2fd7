#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Many ACME orders at once, without a limit: 16 workers on one account and on 16; none fails, nothing hangs, no role grows,
each order has one certificate, and the sweep takes away what they have left in the database. 200 orders each way; 5,000 with
CADUCEUS_TEST_LONG=1. The load is bench/acme.c's."""
import pathlib
import re
import sqlite3
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "bench"))
from faults import *
from harness import BUILD, LONG, Failure, check, equal, free_port, main, wait_for
import acme_load

ORDERS = 5000 if LONG else 200
WARM = 500 if LONG else 50
GROWTH_KB = 4096  # of one role, over one way
RA_KB = 26000     # of ra in all, whose page cache fills to 16,000 kB and stays there
DAY = 86400


def memory(i):
    found = {}
    for role, pid in {**i.roles(), "parent": i.serve.pid}.items():
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        found[role] = int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1)) - int(re.search(r"^Pss_File:\s+(\d+)", text, re.M).group(1))
    return found


def ask(i, sql):
    db = sqlite3.connect(f"file:{i.dir}/caduceus.db?mode=ro", uri=True)
    try:
        return db.execute(sql).fetchone()
    finally:
        db.close()


def octets(i):
    db = sqlite3.connect(f"file:{i.dir}/caduceus.db?mode=ro", uri=True)
    try:
        one = lambda pragma: db.execute(f"PRAGMA {pragma}").fetchone()[0]
        return (one("page_count") - one("freelist_count")) * one("page_size")
    finally:
        db.close()


def way(i, ports, binding, workers, accounts, n, first):
    with acme_load.load(BUILD / "tests" / "acme-load", f"https://localhost:{i.enroll_port}/acme/server/directory", *ports, workers, n, first, accounts,
                        binding) as go:
        got = go()
    equal((got["refused"], got["done"]), (0, n), got["why"])
    return got


def test_orders_without_end__ACME_26__ACME_52():
    ports = free_port(), free_port()
    i = Shimmed("acme-soak", settings=acme_load.settings(*ports))
    try:
        binding = acme_load.eab(i, 0)
        # Both ways once, so that what is made once is there.
        pids, first = i.roles(), 0
        for accounts in (1, 16):
            way(i, ports, binding, 16, accounts, WARM, first)
            first += WARM
        empty = octets(i)
        for accounts in (1, 16):
            before = memory(i)
            got = way(i, ports, binding, 16, accounts, ORDERS, first)
            first += ORDERS
            grown = {role: kb - before[role] for role, kb in memory(i).items()}
            print(f"  16 workers, {accounts} accounts: {ORDERS} orders in {got['seconds']:.1f} s, p99 {got['p99_us'] / 1000:.0f} ms, "
                  f"{got['bad_nonces']} bad nonces; grown, kB: {grown}", flush=True)
            if not SANITIZED:
                check(all(kb < GROWTH_KB for role, kb in grown.items() if role != "ra"), "a role grows:", grown)
                check(grown["ra"] < GROWTH_KB or memory(i)["ra"] < RA_KB, "ra grows:", grown)
        each = (octets(i) - empty) / (2 * ORDERS)
        print(f"  {each:.0f} octets of database an order, certificate and audit included", flush=True)
        check(each < 20000, each, "octets an order")
        equal(i.roles(), pids, "a role died")
        made, distinct = ask(i, "SELECT count(certificate), count(DISTINCT certificate) FROM acme_order WHERE state = 4")
        equal((made, distinct), (first, first), "orders and their certificates")
        named, names = ask(i, "SELECT count(*), count(DISTINCT dn) FROM certificate WHERE dn LIKE '%CN=d%.acme.example%'")
        equal((named, names), (first, first), "certificates of those names")
        certificates = ask(i, "SELECT count(*) FROM certificate")[0]
        # Ten days later.
        i.set(CLOCK_US=10 * DAY * 1000000)
        wait_for("the sweep", lambda: ask(i, "SELECT count(*) FROM acme_authorization")[0] == 0, 120 if LONG else 60)
        left = ask(i, "SELECT count(*) FROM acme_order")[0]
        each = (octets(i) - empty) / (2 * ORDERS)
        print(f"  ten days later: {each:.0f} octets an order, {left} orders", flush=True)
        check(each < 2048, each, "octets an order after the sweep")
        check(ask(i, "SELECT count(*) FROM certificate")[0] >= certificates, "the sweep took certificates")
        i.cli("audit", "verify")
        equal(i.stop(), 0)
        no_sanitizer_spoke(i)
    finally:
        i.close()


if __name__ == "__main__":
    main(globals())
