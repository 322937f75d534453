"""Hostile responses, threads, forks, spawned processes, and nothing left behind."""

import concurrent.futures
import contextlib
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textmdp.envs.answers import equivalent, exactly_equivalent, extract_answer, grade, symbolic, symbolic_worker

LIMIT = 2.0
"""Seconds of processor time for a verdict, ours and the worker's, its start aside: a busy machine takes no more."""
PATIENCE = 30.0
"""Seconds by the clock, for a busy machine: something that hangs takes longer."""

HOSTILE = {
    "tower": "9^{9^{9^9}}",
    "power": "2^{2^{30}}",
    "factorial": "((99!)!)!",
    "sum": r"\sum_{k=1}^{99999999} \frac{1}{k}",
    "integral": r"\int_0^1 e^{x^{x^x}} \sin(x^x) dx",
    "expansion": "(x+y+z)^{200}",
    "exponent": "1e999999999",
    "power of ten": "10^{999999999}",
    "digits": "9" * 100_000,
    "megabyte of digits": "1" * 1_000_000,
    "decimals": "0." + "3" * 100_000,
    "long fraction": "1/" + "7" * 90_000,
    "braces": "{" * 100_000,
    "closing braces": "}" * 100_000,
    "parentheses": "(" * 100_000,
    "balanced": "(" * 500 + "x" + ")" * 500,
    "nested roots": r"\sqrt{" * 200 + "2" + "}" * 200,
    "nested tuples": "(1," * 40 + "2" + ")" * 40,
    "nested fractions": r"\frac{" * 20_000,
    "boxes": r"\boxed{" * 100_000,
    "closed boxes": r"\boxed{" * 50_000 + "5" + "}" * 50_000,
    "many boxes": "".join(rf"\boxed{{{i}}} " for i in range(60_000)),
    "hashes": "####" * 250_000,
    "same hash": "#### 1\n" * 100_000,
    "many hashes": "".join(f"#### {i}\n" for i in range(100_000)),
    "labels": "the answer is " * 70_000,
    "many labels": "".join(f"the answer is {i}. " for i in range(60_000)),
    "dollars": "$" * 1_000_000,
    "dollars and letters": "$x " * 300_000,
    "delimiters": r"\( $ \[ " * 100_000,
    "backslashes": "\\" * 1_000_000,
    "commas": ",111" * 250_000,
    "items": "1 and " * 100_000,
    "signs": "-" * 500_000,
    "equations": "x=" * 100_000,
    "matrices": r"\begin{pmatrix}" * 20_000,
    "blanks": " " * 1_000_000,
    "lines": "\n" * 1_000_000,
    "stops": ". " * 500_000,
    "thoughts": "<think>" * 100_000,
    "chat tokens": "<|a|>" * 200_000,
    "letters": "a" * 1_000_000,
    "sets of sets": r"\{"
    + ",".join(r"\{" + ",".join(map(str, [*range(60), 99 + i])) + r"\}" for i in range(60))
    + r"\}",
    "NUL": "7\x002\x00",
    "surrogate": "\ud800 5 \\boxed{\udfff}",
    "right to left": "\u202e27\u202c",
}


@pytest.fixture(scope="module", autouse=True)
def _started():
    assert equivalent(r"\sqrt{8}", r"2\sqrt{2}")


def processor_seconds():
    """Processor time of this process, the worker and its children that have ended."""
    if not os.path.isdir("/proc/self"):
        return time.process_time()
    fields = _stat(symbolic.WORKER._process.pid)
    return time.process_time() + sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")  # utime to cstime


@contextlib.contextmanager
def in_time():
    start, used = time.monotonic(), processor_seconds()
    yield
    assert processor_seconds() - used < LIMIT
    assert time.monotonic() - start < PATIENCE


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_gets_a_verdict_in_time(name):
    with in_time():
        assert not grade("72", HOSTILE[name]).correct
    if len(HOSTILE[name]) < 100:  # a second of algebra each time: once is enough
        return
    with in_time():
        assert not grade(r"\frac{\sqrt{3}}{2}", rf"\boxed{{{HOSTILE[name]}}}").correct
    with in_time():
        equivalent(HOSTILE[name], HOSTILE[name] + "1")


def test_the_work_of_the_worker_is_counted():
    used, ours = processor_seconds(), time.process_time()
    assert not equivalent("72", "6^{6^{6^{6}}}")
    assert processor_seconds() - used > time.process_time() - ours + 0.05  # or the limit above would mean nothing


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the worker needs os.fork")
def test_a_question_that_only_waits_is_ended_by_the_clock(monkeypatch):
    monkeypatch.setattr(symbolic_worker, "judge", lambda gold, answer: time.sleep(2 * PATIENCE))
    start = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads
        assert symbolic_worker.ask_child("1", "2", LIMIT, wall_seconds=0.2) is None
    assert 0.2 < time.monotonic() - start < PATIENCE
    assert sum(symbolic.PROCESSOR_SECONDS) < LIMIT


def test_sets_of_sets_in_another_order_are_bounded():
    first, second = (
        r"\{" + ",".join(r"\{" + ",".join(map(str, [*range(20), k + i])) + r"\}" for i in range(40)) + r"\}"
        for k in (50, 51)
    )
    with in_time():
        assert not grade(first, rf"\boxed{{{first}}} or rather \boxed{{{second}}}").correct


def test_integers_of_any_size_are_compared():
    digits = "7" * 100_000
    assert grade(digits, f"#### {digits}").correct
    assert not grade(digits, f"#### {digits[:-1]}8").correct
    assert equivalent("1" + "0" * 5000, "10^{5000}")


def test_a_hostile_question_does_not_cost_the_worker():
    pid = symbolic.WORKER._process.pid
    assert not equivalent("72", "9^{9^{9^{9^{9}}}}")
    assert symbolic.WORKER._process.pid == pid
    assert equivalent(r"\sqrt{18}", r"3\sqrt{2}")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_gets_a_verdict(gold, response):
    verdict = grade(gold, response, symbolic=False)
    assert isinstance(verdict.correct, bool)
    assert verdict.answer is None or isinstance(verdict.answer, str)


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=r"\{}()[]$^_=<>+-*/,.;:!%&#|'x2n sqrtfabcpimoe", max_size=40))
def test_mathematical_noise_gets_a_verdict(text):
    for response in (text, f"#### {text}", rf"\boxed{{{text}}}"):
        assert isinstance(grade("x^2+1", response).correct, bool)
        extract_answer(response, exactly_equivalent)


# --- Threads and processes ------------------------------------------------------------------------------------


def _roots(n: int) -> bool:
    right = equivalent(rf"\sqrt{{{n * n * 7}}}", rf"{n}\sqrt{{7}}")
    return right and not equivalent(rf"\sqrt{{{n * n * 7}}}", rf"{n + 1}\sqrt{{7}}")


def test_many_threads_at_once():
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(_roots, range(2, 34)))


def _roots_into(queue, first: int) -> None:
    queue.put((os.getpid(), all(_roots(n) for n in range(first, first + 3)), symbolic.WORKER._process.pid))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_have_workers_of_their_own(method):
    context = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads, which is what is tested
        children = [context.Process(target=_roots_into, args=(queue, first)) for first in (100, 200)]
        for child in children:
            child.start()
    assert all(_roots(n) for n in range(300, 303))  # at the same time
    results = [queue.get() for _ in children]
    for child in children:
        child.join(30)
        assert child.exitcode == 0
    assert all(right for _, right, _ in results)
    workers = {worker for _, _, worker in results}
    assert len(workers | {symbolic.WORKER._process.pid}) == 3
    _wait_until(lambda: not any(_alive(pid) for pid in workers))


def test_a_fork_in_a_thread_that_holds_the_lock_does_not_deadlock():
    busy = threading.Thread(target=equivalent, args=("71", "8^{8^{8^8}}"))
    busy.start()
    time.sleep(0.3)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = context.Process(target=_roots_into, args=(queue, 400))
        child.start()
    assert queue.get()[1]
    child.join(30)
    busy.join(10)
    assert _roots(410)


def test_a_dead_worker_is_replaced():
    os.kill(symbolic.WORKER._process.pid, signal.SIGKILL)
    assert _roots(500)


def test_no_process_and_no_descriptor_is_left():
    symbolic.WORKER.close()
    gc.collect()
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for n in (600, 601):
        assert _roots(n)
        assert not equivalent("70", f"7^{{7^{{7^{{{n}}}}}}}")  # killed child
        pid = symbolic.WORKER._process.pid
        symbolic.WORKER.close()
        assert not _alive(pid)
    if before:
        assert len(os.listdir("/proc/self/fd")) == before


def test_the_worker_ends_with_its_parent():
    code = (
        "import os, textmdp.envs.answers.symbolic as s; from textmdp.envs.answers import equivalent;"
        r"assert equivalent(r'\sqrt{8}', r'2\sqrt{2}');"
        "print(s.WORKER._process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    pid = int(result.stdout)
    _wait_until(lambda: not _alive(pid))


def test_a_clean_exit_is_silent():
    code = r"from textmdp.envs.answers import equivalent; print(equivalent(r'\sqrt{8}', r'2\sqrt{2}'))"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", code], capture_output=True, text=True, check=False
    )
    assert (result.stdout, result.returncode) == ("True\n", 0)
    assert "symbolic" not in result.stderr


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return _stat(pid)[0] != "Z"  # an orphan not yet waited for by init is no leak of ours
    except OSError:
        return os.path.isdir("/proc/self") is False


def _stat(pid: int) -> list[str]:
    """Fields of a process in /proc, from its state on."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()


def _wait_until(condition, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
