"""The interpreter's code on huge pages: all goes on as before, in children too; without such pages nothing changes."""

import json
import subprocess
import sys
import textwrap

import pytest

from textmdp.envs.judge.inside import hugepages, linux

if linux.MACHINE is None or sys.platform != "linux":
    pytest.skip("needs Linux on x86-64", allow_module_level=True)

FOLDER = hugepages.__file__.rpartition("/inside/")[0]


def run(body):
    """What a body prints as JSON in an interpreter of its own, where `file_of` says where code is from."""
    source = f"""
import ctypes, json, os, sys
sys.path.insert(0, {FOLDER!r})
from inside import hugepages
def file_of(address):
    for row in open("/proc/self/maps"):
        low, high = (int(word, 16) for word in row.split()[0].split("-"))
        if low <= address < high:
            return row.split()[1], row.split()[-1]
here = ctypes.cast(ctypes.pythonapi.Py_IncRef, ctypes.c_void_p).value
{textwrap.dedent(body)}
"""
    done = subprocess.run([sys.executable, "-S", "-c", source], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_interpreter_goes_on_from_its_copy():
    told = run(
        """
        start, end = hugepages._interpreter()
        before = ctypes.string_at(start, end - start)
        moved = hugepages.move_interpreter()
        same = before == ctypes.string_at(start, end - start)
        pid = os.fork()
        if pid == 0:
            import decimal, re, threading
            found = []
            thread = threading.Thread(target=lambda: found.append(re.sub("a+", str(decimal.Decimal("1.5") * 2), "baa")))
            thread.start()
            thread.join()
            try:
                1 / 0
            except ZeroDivisionError:
                found += sorted("ba")
            os._exit(found != ["b3.0", "a", "b"])
        status = os.waitpid(pid, 0)[1]
        first = -(-start // (1 << 21)) << 21
        print(json.dumps([moved, start, end, same, status, file_of(first)]))
        """
    )
    moved, start, end, same, status, place = told
    if not moved:
        pytest.skip("no huge pages to be had here")
    assert same
    assert status == 0
    assert moved % (1 << 21) == 0
    assert end - start - (4 << 20) < moved <= end - start
    assert place == ["r-xp", "0"]  # of no file


@pytest.mark.parametrize("refusal", ["none_there", "no_memory", "no_rights", "no_proc", "no_linux"])
def test_without_huge_pages_nothing_changes(refusal):
    told = run(
        f"""
        def none_there(address): return 0
        def no_memory(*of): raise OSError(12, "no")
        def no_rights(name, *of, call=hugepages.linux.system_call):
            if name == "mprotect":
                raise PermissionError(13, "no")
            return call(name, *of)
        interpreter, size = hugepages._interpreter, len(open("/proc/self/maps").readlines())
        before = [interpreter(), file_of(here)]
        match {refusal!r}:
            case "none_there": hugepages._on_huge_pages = none_there
            case "no_memory": hugepages.linux.map_memory = no_memory
            case "no_rights": hugepages.linux.system_call = no_rights
            case "no_proc": hugepages._interpreter = no_memory
            case "no_linux": sys.platform = "darwin"
        moved = hugepages.move_interpreter()
        after = [interpreter(), file_of(here)]
        print(json.dumps([moved, before == after, len(open("/proc/self/maps").readlines()) - size < 3]))
        """
    )
    assert told == [0, True, True]
