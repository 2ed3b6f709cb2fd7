#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a shell offers at TAB.

usage: test_completion.py SOURCE_ROOT PROGRAM..."""
import pathlib
import subprocess
import sys
import tempfile

SCRIPT = pathlib.Path(sys.argv[1]) / "scripts" / "completion" / "caduceus"
PROGRAM = pathlib.Path(sys.argv[2])
problems = []


def offered(*words, folder=None):
    """What bash offers for the last word."""
    script = ('. "$1"; shift; complete -p caduceus >/dev/null || exit 9; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
              'COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; _caduceus caduceus "${COMP_WORDS[COMP_CWORD]}" ""; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "bash", str(SCRIPT), *words], capture_output=True, text=True,
                          cwd=folder, env={"PATH": f"{PROGRAM.parent}:/usr/bin:/bin"})
    if done.returncode != 0 or done.stderr:
        problems.append(f"{words}: exit {done.returncode}: {done.stderr}")
    return done.stdout.split()


def equal(got, wanted, *why):
    if got != wanted:
        problems.append(f"{why}: offers {got}, wanted {wanted}")


def test_nouns():
    equal(offered("caduceus", "dev"), ["device"], "dev")
    equal(offered("caduceus", "do"), ["doctor"], "do")
    equal(offered("caduceus", "zz"), [], "zz")
    everything = offered("caduceus", "")
    for noun in ("init", "serve", "status", "config", "device", "cert", "ca", "crl", "profile", "audit", "backup"):
        equal(noun in everything, True, noun, everything)


def test_verbs():
    equal(offered("caduceus", "device", "a"), ["add"], "device a")
    verbs = offered("caduceus", "device", "")
    equal({"add", "disable", "enable", "list", "password", "show"} - set(verbs), set(), "device", verbs)
    equal(offered("caduceus", "cert", "re"), ["revoke"], "cert re")


def test_verbs_of_two_words():
    equal(set(offered("caduceus", "acme", "")), {"eab", "account"}, "acme")
    equal(set(offered("caduceus", "acme", "eab", "")), {"add", "list", "disable"}, "acme eab")
    equal(offered("caduceus", "acme", "account", "d"), ["disable"], "acme account d")
    equal(offered("caduceus", "acme", "eab", "add", "x", "--pro"), ["--profile"], "acme eab add --pro")


def test_options():
    equal(offered("caduceus", "device", "add", "pump-1", "--pro"), ["--profile"], "device add --pro")
    equal(offered("caduceus", "serve", "--di"), ["--dir"], "serve --di")
    equal(offered("caduceus", "cert", "revoke", "X", "--rea"), ["--reason"], "cert revoke --rea")
    equal("--json" in offered("caduceus", "device", "list", "--"), True, "device list --")


def test_files():
    with tempfile.TemporaryDirectory() as home:
        (pathlib.Path(home) / "pump.csr").touch()
        equal(offered("caduceus", "cert", "issue", "--csr", "pu", folder=home), ["pump.csr"], "--csr")


failed = 0
tests = [(n, f) for n, f in list(globals().items()) if n.startswith("test_")]
for name, test in tests:
    problems.clear()
    test()
    print(("FAIL " if problems else "ok ") + name, *problems[:20], sep="\n  ")
    failed += bool(problems)
print(f"{len(tests) - failed} passed, {failed} failed")
sys.exit(1 if failed else 0)
