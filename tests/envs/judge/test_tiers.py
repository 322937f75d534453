"""Which tiers a machine offers, what is said where it offers none, and the filters of both architectures."""

import errno
import json
import pickle
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from textmdp.agents.cli.main import main
from textmdp.envs.judge import tiers
from textmdp.envs.judge.tiers import LAYERS, TIERS, Finding, JudgeUnavailable

if sys.platform != "linux":
    pytest.skip("the sandbox is Linux's", allow_module_level=True)

from textmdp.envs.judge.inside import linux, sandbox, seccomp, syscalls

MACHINES = pytest.mark.parametrize("machine", [0, 1], ids=["x86_64", "aarch64"])
ALLOW, KILL, REFUSE, MISSING = 0x7FFF0000, 0x80000000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS


def answer(code, machine, name, *arguments):
    """What a filter says to a call: an interpreter of the instructions that filters consist of."""
    number = name if isinstance(name, int) else syscalls.NUMBERS[name][machine]
    arguments = [a & (1 << 64) - 1 for a in (*arguments, 0, 0, 0, 0, 0, 0)[:6]]
    data = struct.pack("<IIQ6Q", number, (0xC000003E, 0xC00000B7)[machine], 0, *arguments)
    place, register = 0, 0
    while True:
        operation, if_true, if_false, value = struct.unpack_from("<HBBI", code, 8 * place)
        place += 1
        if operation == 0x20:
            register = struct.unpack_from("<I", data, value)[0]
        elif operation == 0x54:
            register &= value
        elif operation == 0x06:
            return value
        else:
            holds = {0x15: register == value, 0x25: register > value, 0x35: register >= value}[operation]
            place += if_true if holds else if_false


def in_program(machine, files, name, *arguments):
    """What a program is answered: of two filters the stricter."""
    filters = (seccomp.zygote_filter(machine, files), seccomp.program_filter(machine))
    return min(answer(f.code, machine, name, *arguments) for f in filters) if name else None


class TestNumbers:
    @pytest.mark.parametrize(
        ("machine", "header"),
        [(0, "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), (1, "/usr/include/asm-generic/unistd.h")],
        ids=["x86_64", "aarch64"],
    )
    def test_agree_with_the_headers_of_the_kernel(self, machine, header):
        if not Path(header).exists():
            pytest.skip(f"no {header} here")
        text = Path(header).read_text()
        known = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
        names = {"newfstatat": "fstatat"} if machine else {}
        for name, numbers in syscalls.NUMBERS.items():
            assert numbers[machine] == known.get(names.get(name, name)), name

    @MACHINES
    def test_each_is_one_call(self, machine):
        numbers = [row[machine] for row in syscalls.NUMBERS.values() if row[machine] is not None]
        assert len(set(numbers)) == len(numbers)
        assert max(numbers) <= syscalls.LAST
        assert all(name in syscalls.NUMBERS for name in syscalls.MISSING)
        assert not syscalls.PROGRAM & syscalls.ZYGOTE
        assert not syscalls.PROGRAM & syscalls.FILES
        assert not syscalls.LINKS & (syscalls.PROGRAM | syscalls.FILES)


class TestFilters:
    @MACHINES
    def test_programs_compute(self, machine):
        for name in ("read", "write", "mmap", "exit_group", "getrandom", "rt_sigreturn", "newfstatat"):
            assert in_program(machine, True, name) == ALLOW, name

    @MACHINES
    def test_only_the_zygote_makes_processes_and_ends_them(self, machine):
        zygote = seccomp.zygote_filter(machine, True).code
        for name in sorted(syscalls.ZYGOTE):
            if syscalls.NUMBERS[name][machine] is not None:
                assert answer(zygote, machine, name) == ALLOW, name
                assert in_program(machine, True, name) == REFUSE, name
        fork, thread = 0x1200011, 0x3D0F00
        assert answer(zygote, machine, "clone", fork) == ALLOW
        assert in_program(machine, True, "clone", fork) == REFUSE
        assert in_program(machine, True, "clone", thread) == ALLOW
        for namespace in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x80):
            assert answer(zygote, machine, "clone", fork | namespace) == REFUSE
            assert in_program(machine, True, "clone", thread | namespace) == REFUSE
        assert in_program(machine, True, "clone3") == MISSING

    @MACHINES
    def test_arguments(self, machine):
        high = 1 << 32  # the kernel ignores the upper half of an int: so must the filter
        for name, arguments, expected in [
            ("prlimit64", (0, 7), ALLOW),
            ("prlimit64", (1, 7), REFUSE),
            ("prlimit64", (high, 7), ALLOW),
            ("fcntl", (3, 4, 0x800), ALLOW),
            ("fcntl", (3, 4, 0x2000), REFUSE),
            ("fcntl", (3, 8, 1), REFUSE),
            ("fcntl", (3, high + 8, 1), REFUSE),
            *(("fcntl", (3, command), REFUSE) for command in (5, 36)),
            *(("fcntl", (3, command), 0x50000) for command in (6, 7, 37, 38)),  # as if it were done
            *(("clock_gettime", (clock,), ALLOW) for clock in (0, 1, 2, 3, 7, 11, -2 & 0xFFFFFFFF, -6 & 0xFFFFFFFF)),
            *(("clock_gettime", ((~pid << 3 | 2) & 0xFFFFFFFF,), REFUSE) for pid in (1, 77, 40_000)),
            ("clock_gettime", ((~77 << 3 | 6) & 0xFFFFFFFF,), REFUSE),
            ("clock_getres", ((~77 << 3 | 2) & 0xFFFFFFFF,), REFUSE),
            ("clock_nanosleep", ((~77 << 3 | 2) & 0xFFFFFFFF,), REFUSE),
            ("clock_gettime", (high + 1,), ALLOW),
            *(("futex", (9, command | 0x80), ALLOW) for command in (0, 1, 9, 10, 0x109)),
            *(("futex", (9, command), 0x50000 | errno.EAGAIN) for command in (0, 9, 0x109)),
            *(("futex", (9, command), REFUSE) for command in (1, 3, 4, 5, 6, 7, 10, 11, 12)),
            ("ioctl", (0, 0x5401), ALLOW),
            ("ioctl", (0, 0x5412), REFUSE),
            ("socketpair", (1, 1 | 0x80000), ALLOW),
            ("socketpair", (1, 2), REFUSE),
            ("socketpair", (2, 1), REFUSE),
            ("sendto", (3, 9, 9, 0, 0, 0), ALLOW),
            ("sendto", (3, 9, 9, 0, 0x7F00, 16), REFUSE),
            ("sendto", (3, 9, 9, 0, high, 16), REFUSE),
            ("sendto", (3, 9, 9, 1), REFUSE),
            ("recvfrom", (3, 9, 9, 0x40), ALLOW),
            ("recvfrom", (3, 9, 9, 1), REFUSE),
            ("mmap", (0, 4096, 3, 0x22, -1, 0), ALLOW),
            ("mmap", (0, 4096, 3, 0x40022, -1, 0), REFUSE),
            ("openat", (-100, 9, 0x80000), ALLOW),
            ("openat", (-100, 9, 0x241), ALLOW),
            ("openat", (-100, 9, 0x200), REFUSE),
            ("openat", (-100, 9, 3), REFUSE),
            ("prctl", (15,), ALLOW),
            ("prctl", (22, 2), REFUSE),
            ("prctl", (1, 0), REFUSE),
            ("sched_getaffinity", (7,), REFUSE),
        ]:
            assert in_program(machine, True, name, *arguments) == expected, (name, arguments)

    @MACHINES
    def test_without_another_layer_nothing_is_opened(self, machine):
        for name in sorted(syscalls.FILES):
            if syscalls.NUMBERS[name][machine] is not None:
                assert in_program(machine, False, name) == REFUSE, name
        assert in_program(machine, False, "newfstatat", -100, 9, 9, 0) == REFUSE
        assert in_program(machine, False, "newfstatat", 3, 9, 9, 0x1000) == ALLOW
        assert in_program(machine, False, "statx", 3, 9, 0x1000) == ALLOW

    @MACHINES
    def test_links_are_read_where_namespaces_say_which_there_are(self, machine):
        for name in sorted(syscalls.LINKS):
            if syscalls.NUMBERS[name][machine] is not None:
                for links, expected in ((True, ALLOW), (False, REFUSE)):
                    code = seccomp.zygote_filter(machine, True, links).code
                    assert answer(code, machine, name) == expected, name

    @MACHINES
    def test_the_unknown(self, machine):
        assert in_program(machine, True, 451) == MISSING
        assert in_program(machine, True, 250) == REFUSE  # add_key on the one, keyctl, or not there, on the other
        code = seccomp.zygote_filter(machine, True).code
        assert answer(code, 1 - machine, 63) == KILL  # the numbers of another architecture mean other calls
        if machine == 0:
            assert answer(code, machine, 0x40000000) == KILL


OUTER = """
import json, os, struct, sys
from textmdp.envs.judge import tiers
from textmdp.envs.judge.inside import linux, seccomp
from textmdp.envs.judge.judge import Judge
code = [seccomp._statement(0x20, 0)]
for number, error in json.loads(sys.argv[1]):
    code += [seccomp._jump(0x15, number, 0, 1), seccomp._statement(6, 0x50000 | error)]
if sys.argv[2] == "no filters":
    code += [seccomp._jump(0x15, (157, 167)[linux.MACHINE], 0, 3), seccomp._statement(0x20, 16)]
    code += [seccomp._jump(0x15, 22, 0, 1), seccomp._statement(6, 0x50000 | 22)]
linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
seccomp.Filter(b"".join([*code, seccomp._statement(6, 0x7FFF0000)])).install()
told = {}
for isolation, lowest in (("best", "C"), ("best", "A-"), ("A", "C"), ("process-only-unsafe", "C")):
    try:
        told[f"{isolation} {lowest}"] = tiers.choose(isolation, lowest)
    except tiers.JudgeUnavailable as error:
        told[f"{isolation} {lowest}"] = str(error)
print(json.dumps(told))
"""

#: Calls that container runtimes refuse: unshare and mount; Landlock's first.
NAMESPACES = [((272, 97), errno.EPERM), ((165, 40), errno.EPERM)]
LANDLOCK = [((444, 444), errno.ENOSYS)]


def under(refused, filters="filters"):
    """What `tiers.choose` says where an outer filter refuses some calls, as a container's does."""
    rows = [(numbers[linux.MACHINE], error) for numbers, error in refused]
    command = [sys.executable, "-c", OUTER, json.dumps(rows), filters]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class TestMachines:
    """Machines that lack a layer, as containers do: an outer filter refuses the calls that it is made with."""

    @pytest.fixture(autouse=True)
    def _all_tiers(self):
        missing = [tier for tier in TIERS if not tiers.examine(tier).reached]
        if missing:
            pytest.skip(f"this machine lacks tiers {missing} itself")

    def test_whole(self):
        assert set(under([]).values()) == {"A", "none"}

    def test_docker(self):
        told = under(NAMESPACES)
        assert told["best C"] == "B"
        for request in ("best A-", "A C"):  # never less than what was asked for
            assert "namespaces: can't unshare: Operation not permitted" in told[request]
            assert "user.max_user_namespaces" in told[request]
            assert "process-only-unsafe" in told[request]
        assert told["process-only-unsafe C"] == "none"

    def test_gvisor(self):
        told = under(LANDLOCK)
        assert (told["best C"], told["best A-"]) == ("A-", "A-")
        assert "Linux 5.13" in told["A C"]

    def test_an_old_kernel_in_a_container(self):
        assert under([*NAMESPACES, *LANDLOCK])["best C"] == "C"

    def test_no_filters(self):
        told = under([], "no filters")
        assert "seccomp: can't filter" in told["best C"]
        assert "CONFIG_SECCOMP_FILTER" in told["best C"]
        assert told["process-only-unsafe C"] == "none"


def test_names_are_checked():
    with pytest.raises(ValueError, match="isolation must be"):
        tiers.choose("strict", "C")
    with pytest.raises(ValueError, match="min_tier must be one of"):
        tiers.choose("best", "D")


def test_other_systems_are_told_to_use_linux(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    tiers.examine.cache_clear()
    try:
        with pytest.raises(JudgeUnavailable, match=r"(?s)seccomp: darwin has none.*process-only-unsafe"):
            tiers.choose("best", "C")
    finally:
        tiers.examine.cache_clear()


def test_layers_of_tiers():
    assert [tiers.layers(tier) for tier in TIERS] == [sandbox.Layers(*LAYERS[tier]) for tier in TIERS]
    assert not any(tiers.layers("none"))


def test_errors_name_layer_step_and_remedy():
    error = sandbox.SandboxError("landlock", "make the rules", errno.ENOSYS)
    assert (error.layer, error.step, error.errno) == ("landlock", "make the rules", errno.ENOSYS)
    assert "landlock: can't make the rules: Function not implemented; Landlock needs Linux 5.13" in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_the_doctor_says_what_holds(capsys, monkeypatch):
    findings = {tier: Finding(tier, tier == "B", "landlock", "landlock: can't x; do y") for tier in TIERS}
    monkeypatch.setattr(tiers, "examine", findings.__getitem__)
    assert main(["judge", "doctor"]) == 0
    said = capsys.readouterr().out
    assert "B  holds" in said
    assert "landlock: can't x; do y" in said
    assert "tier B" in said


def test_the_doctor_fails_where_nothing_holds(capsys, monkeypatch):
    monkeypatch.setattr(tiers, "examine", lambda tier: Finding(tier, False, "seccomp", "seccomp: none; use Linux"))
    assert main(["judge", "doctor"]) == 1
    assert "process-only-unsafe" in capsys.readouterr().out
