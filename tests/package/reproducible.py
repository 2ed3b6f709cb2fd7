#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The same sources give the same programs, wherever they are built. scripts/test --long"""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ["caduceus", *(f"caduceus-{r}" for r in ("ca", "ra", "va", "front", "probe"))]


def run(*argv, **options):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        sys.exit(f"FAIL {argv}: {done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def build(place):
    """Digest by program. With debug information, which knows most of where it comes from."""
    shutil.copytree(SOURCE, place, symlinks=True, ignore=lambda folder, names: [
        n for n in names if n in (".git", "__pycache__") or
        (pathlib.Path(folder) == SOURCE and re.match(r"build|obj-|demo$", n))])
    run("meson", "setup", place / "build", place, "-Dbuildtype=release", "-Ddebug=true", "-Dtests=disabled")
    run("ninja", "-C", place / "build", "-j2")
    return {p: hashlib.sha256((place / "build" / p).read_bytes()).hexdigest() for p in PROGRAMS}


def test_two_builds_are_one__OPS_12():
    with tempfile.TemporaryDirectory(prefix="cad-a-") as one, tempfile.TemporaryDirectory(prefix="cad-longer-name-") as two:
        a = build(pathlib.Path(one) / "caduceus")
        time.sleep(1.1)  # another second
        b = build(pathlib.Path(two) / "deeper" / "in" / "it" / "c")
    for program in PROGRAMS:
        print(f"  {program} {a[program]}")
    return [p for p in PROGRAMS if a[p] != b[p]]


if os.environ.get("CADUCEUS_TEST_LONG") != "1":
    print("skipped: builds twice: scripts/test --long")
    sys.exit(77)
different = test_two_builds_are_one__OPS_12()
print(("FAIL " if different else "ok ") + "test_two_builds_are_one__OPS_12", *different)
print(f"{int(not different)} passed, {int(bool(different))} failed")
sys.exit(1 if different else 0)
