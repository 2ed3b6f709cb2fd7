#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds every #include and every program's linked libraries against tests/layers.txt.

usage: test_layers.py SOURCE_ROOT PROGRAM..."""
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(sys.argv[1])
rooms, programs, pkcs11 = {}, {}, set()
for line in (root / "tests/layers.txt").read_text().splitlines():
    line = line.split("#")[0].strip()
    if not line:
        continue
    left, _, right = line.partition(":")
    if left.startswith("program "):
        programs[left.split()[1]] = right.split()[1:]
    elif left == "pkcs11":
        pkcs11 = set(right.split())
    else:
        rooms[left] = set(right.split())

problems = []


def test_includes_point_down__OPS_10():
    for room, allowed in rooms.items():
        for path in sorted((root / room).glob("*.[ch]")):
            for header in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.M):
                other = header.split("/")[0]
                if "/" not in header:
                    problems.append(f"{path.relative_to(root)}: \"{header}\" is not named from the root")
                elif other != room and other not in allowed and header not in allowed:
                    problems.append(f"{path.relative_to(root)}: {room} may not include {header}")


def test_programs_link_only_theirs__OPS_10():
    for program in sys.argv[2:]:
        path = pathlib.Path(program)
        linked = subprocess.run(["readelf", "-d", program], capture_output=True, text=True, check=True).stdout
        for library in programs.get(path.name, []):
            if re.search(r"NEEDED.*\[" + library + r"[.-]", linked):
                problems.append(f"{path.name} links {library}")


def test_pkcs11_stays_in_its_room():
    for path in root.glob("*/*.[ch]"):
        if path.parent.name in rooms and path.parent.name not in pkcs11:
            if re.search(r"#\s*include\s+<p11-kit|dlopen\s*\(", path.read_text()):
                problems.append(f"{path.relative_to(root)} speaks PKCS#11")


def test_every_alarm_is_explained():
    manual = (root / "docs/operations.md").read_text()
    rows = "\n".join(line for line in manual.splitlines() if line.startswith("|"))
    alarms = set()
    for path in root.glob("*/*.c"):
        if path.parent.name in rooms:
            alarms |= set(re.findall(r'"ALARM: ([^";:,]*)', path.read_text()))
    if len(alarms) < 5:
        problems.append("the alarms are not found")
    for alarm in sorted(alarms):
        if "ALARM: " + " ".join(alarm.split()[:3]) not in rows:
            problems.append(f"docs/operations.md does not say what to do: ALARM: {alarm}")


tests = [v for k, v in dict(globals()).items() if k.startswith("test_")]
failed = 0
for test in tests:
    before = len(problems)
    test()
    bad = problems[before:]
    print(("FAIL " if bad else "ok ") + test.__name__, *bad, sep="\n  ")
    failed += bool(bad)
print(f"{len(tests) - failed} passed, {failed} failed")
sys.exit(1 if failed else 0)
