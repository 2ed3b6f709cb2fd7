#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The bill of materials names everything that the programs need, as the distribution knows it.

usage: test_sbom.py SOURCE_ROOT PROGRAM..."""
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SBOM = pathlib.Path(sys.argv[1]) / "scripts" / "sbom"
PROGRAMS = [pathlib.Path(p) for p in sys.argv[2:]]
problems = []


def check(condition, *why):
    if not condition:
        problems.append(" ".join(str(w) for w in why))


def sbom(*argv, epoch="1700000000"):
    return subprocess.run([str(a) for a in (SBOM, *argv)], capture_output=True, text=True,
                          env={"PATH": "/usr/bin:/bin", "SOURCE_DATE_EPOCH": epoch})


DONE = sbom(*PROGRAMS)
if DONE.returncode != 0:
    sys.exit(f"FAIL scripts/sbom: {DONE.stderr}")
DOC = json.loads(DONE.stdout)


def test_it_is_spdx__OPS_12():
    check(DOC["spdxVersion"] == "SPDX-2.3" and DOC["dataLicense"] == "CC0-1.0", "what it calls itself")
    check(DOC["SPDXID"] == "SPDXRef-DOCUMENT" and re.match(r"https://\S+$", DOC["documentNamespace"]), "namespace")
    check(DOC["creationInfo"]["created"] == "2023-11-14T22:13:20Z", DOC["creationInfo"])
    ids = [e["SPDXID"] for e in DOC["packages"] + DOC["files"]] + ["SPDXRef-DOCUMENT"]
    check(len(ids) == len(set(ids)), "an identifier stands twice")
    for i in ids:
        check(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", i), i)
    for r in DOC["relationships"]:
        check(r["spdxElementId"] in ids and r["relatedSpdxElement"] in ids, "a relation to nothing:", r)
    # SPDX 2.3, 7 and 8: what every package and file must say.
    for p in DOC["packages"]:
        check(p["name"] and p["versionInfo"] and p["downloadLocation"] and p["filesAnalyzed"] is False, p)
    for f in DOC["files"]:
        check(f["fileName"].startswith("./") and any(c["algorithm"] == "SHA1" for c in f["checksums"]), f)


def test_it_names_what_is_linked__OPS_12():
    """Against the programs' own words (NEEDED), which say less than the loader, and by another tool."""
    files = {f["SPDXID"]: f for f in DOC["files"]}
    for p in PROGRAMS:
        own = [f for f in DOC["files"] if f["fileName"] == f"./{p.name}"]
        check(len(own) == 1, p.name, "is not in it")
        digest = {c["algorithm"]: c["checksumValue"] for c in own[0]["checksums"]}
        check(digest["SHA256"] == hashlib.sha256(p.read_bytes()).hexdigest(), p.name, "has another checksum")
        linked = {os.path.basename(files[r["relatedSpdxElement"]]["fileName"]) for r in DOC["relationships"]
                  if r["spdxElementId"] == own[0]["SPDXID"] and r["relationshipType"] == "DYNAMIC_LINK"}
        needed = re.findall(r"NEEDED.*\[([^]]+)\]", subprocess.run(["readelf", "-d", str(p)], capture_output=True,
                                                                   text=True, check=True).stdout)
        check(needed and set(needed) <= linked, p.name, "lacks", set(needed) - linked)


def test_packages_are_the_distributions__OPS_12():
    packages = {p["name"]: p for p in DOC["packages"] if p["name"] != "caduceus"}
    check({"libc6", "libsqlite3-0", "libyaml-0-2"} <= set(packages), sorted(packages))
    check(any(re.match(r"libssl3", n) for n in packages), sorted(packages))
    shown = subprocess.run(["dpkg", "-s", *packages], capture_output=True, text=True).stdout
    known = {re.search(r"^Package: (\S+)", s, re.M).group(1): re.search(r"^Version: (\S+)", s, re.M).group(1)
             for s in shown.strip().split("\n\n")}
    for name, p in packages.items():
        check(known.get(name) == p["versionInfo"], name, p["versionInfo"], "dpkg says", known.get(name))
    held = {r["relatedSpdxElement"] for r in DOC["relationships"]
            if r["relationshipType"] == "CONTAINS" and r["spdxElementId"] != "SPDXRef-Package-caduceus"}
    for f in DOC["files"]:
        check(f["fileName"].startswith("./lib/") == (f["SPDXID"] in held), f["fileName"], "is of no package")


def test_the_same_twice_and_no_guess__OPS_12():
    check(sbom(*PROGRAMS).stdout == DONE.stdout, "it differs from one call to the next")
    with tempfile.TemporaryDirectory() as home:
        text = pathlib.Path(home) / "no-program"
        text.write_text("#!/bin/sh\n")
        refused = sbom(text)
        check(refused.returncode != 0 and refused.stdout == "", "a script was taken for a program")
        # A library of nobody's: named, not left out.
        source, library, program = (pathlib.Path(home) / n for n in ("l.c", "libown.so", "p"))
        source.write_text("int own(void); int own(void) { return 0; } int main(void) { return own(); }\n")
        if shutil.which("gcc"):
            subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
            subprocess.run(["gcc", "-o", program, "-Wl,--no-as-needed", source, f"-Wl,-rpath,{home}", library], check=True)
            refused = sbom(program)
            check(refused.returncode != 0 and "libown.so" in refused.stderr, refused.stderr or refused.stdout[:100])


failed = 0
tests = [(n, f) for n, f in list(globals().items()) if n.startswith("test_")]
for name, test in tests:
    problems.clear()
    test()
    print(("FAIL " if problems else "ok ") + name, *problems[:20], sep="\n  ")
    failed += bool(problems)
print(f"{len(tests) - failed} passed, {failed} failed")
sys.exit(1 if failed else 0)
