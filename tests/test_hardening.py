#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the compiler and the linker put into the programs against mistakes that are still in them.

usage: test_hardening.py PROGRAM...; with the build's compile_commands.json beside them, the flags of every file too."""
import json
import pathlib
import platform
import re
import subprocess
import sys

PROGRAMS = [pathlib.Path(p).resolve() for p in sys.argv[1:]]
X86, ARM = platform.machine() == "x86_64", platform.machine() == "aarch64"
problems = []


def out(*argv):
    return subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=True,
                          env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}).stdout


def check(condition, *why):
    if not condition:
        problems.append(" ".join(str(w) for w in why))


def property_of(path):
    """Branch protection that an object says it has throughout."""
    return set(re.findall(r"\b(IBT|SHSTK|BTI|PAC)\b", out("readelf", "-nW", path)))


def crt_properties():
    """What the distribution's own start files allow a program to say."""
    files = [f for name in ("Scrt1.o", "crti.o", "crtn.o", "crtbeginS.o", "crtendS.o")
             for f in [out("gcc", f"-print-file-name={name}").strip()] if "/" in f]
    return set.intersection(*(property_of(f) for f in files)) if files else set()


def test_programs_lie_anywhere__OPS_12():
    for p in PROGRAMS:
        check("DYN (Position-Independent Executable" in out("readelf", "-hW", p), p.name, "is no PIE")


def test_relocations_are_read_only__OPS_12():
    for p in PROGRAMS:
        check("GNU_RELRO" in out("readelf", "-lW", p), p.name, "has no RELRO")
        dynamic = out("readelf", "-dW", p)
        check("BIND_NOW" in dynamic and re.search(r"FLAGS_1.*\bNOW\b", dynamic), p.name, "binds late")
        check("TEXTREL" not in dynamic and "RPATH" not in dynamic and "RUNPATH" not in dynamic, p.name,
              "has text relocations or a search path")


def test_nothing_is_writable_and_executable__OPS_12():
    for p in PROGRAMS:
        headers = out("readelf", "-lW", p)
        stack = re.search(r"GNU_STACK(?:\s+0x[0-9a-f]+){5}\s+([RWE ]+?)\s+0x", headers)
        check(stack and "E" not in stack.group(1), p.name, "has an executable stack, or does not say")
        for flags in re.findall(r"LOAD(?:\s+0x[0-9a-f]+){5}\s+([RWE ]+?)\s+0x", headers):
            check(not ("W" in flags and "E" in flags), p.name, "has a segment that is writable and executable")


def test_stack_protector_and_fortify__OPS_12():
    for p in PROGRAMS:
        symbols = set(re.findall(r"UND\s+(\w+)", out("readelf", "-W", "--dyn-syms", p)))
        check("__stack_chk_fail" in symbols, p.name, "has no stack protector")
        chk = {s for s in symbols if s.endswith("_chk")}
        check(len(chk) >= 4, p.name, "is not fortified:", sorted(chk))
        check("vsnprintf" not in symbols, p.name, "calls vsnprintf unchecked")


def test_indirect_branches_land__OPS_12():
    """The property where the start files have it; the landing pads themselves in any case."""
    if not X86 and not ARM:
        return
    allowed = crt_properties()
    for p in PROGRAMS:
        has = property_of(p)
        check(allowed <= has, p.name, "has", sorted(has), "the start files have", sorted(allowed))
        code = out("objdump", "-d", "--no-show-raw-insn", "-j", ".text", p)
        pads = len(re.findall(r"\bendbr64\b" if X86 else r"\b(?:bti|paciasp)\b", code))
        check(pads >= 100, p.name, "has", pads, "landing pads")


def test_every_file_is_compiled_so__OPS_12():
    path = PROGRAMS[0].parent / "compile_commands.json"
    if not path.exists():
        return
    wanted = ["-fstack-protector-strong", "-fPI", "-Werror", "-Wformat-security", "-Wall"]
    gcc = re.search(r"\bgcc\b.* (\d+)\.", out("gcc", "--version").splitlines()[0])
    fortify = "-D_FORTIFY_SOURCE=3" if gcc and int(gcc.group(1)) >= 12 else "-D_FORTIFY_SOURCE="
    wanted += ["-fcf-protection"] * X86 + ["-mbranch-protection=standard"] * ARM
    commands = [c for c in json.loads(path.read_text()) if not c["file"].startswith("../tests/")]
    check(len(commands) > 50, "only", len(commands), "files in", path)
    for c in commands:
        for flag in wanted:
            check(re.search(r"\s" + re.escape(flag), c["command"]), c["file"], "is compiled without", flag)
        last = re.findall(r"\s(-[UD]_FORTIFY_SOURCE\S*)", c["command"])[-1:]
        check(last and last[0].startswith(fortify), c["file"], "ends with", last)


if "asan" in out("ldd", PROGRAMS[0]):
    print("a sanitizer build is made to be looked into")
    sys.exit(77)
failed = 0
tests = [(n, f) for n, f in list(globals().items()) if n.startswith("test_")]
for name, test in tests:
    problems.clear()
    test()
    print(("FAIL " if problems else "ok ") + name, *problems[:20], sep="\n  ")
    failed += bool(problems)
print(f"{len(tests) - failed} passed, {failed} failed")
sys.exit(1 if failed else 0)
