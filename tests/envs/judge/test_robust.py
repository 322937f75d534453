"""What happens to a judge and around it: death, forks, signals, threads, full disks; and nothing is left behind."""

import concurrent.futures
import contextlib
import gc
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from pathlib import Path

import gymnasium as gym
import pytest

from textmdp.envs.judge import InfrastructureError, Judge, JudgeUnavailable, asserts, calls, slot, stdio
from textmdp.envs.judge.inside.sandbox import can_import
from textmdp.envs.judge.tiers import layers
from textmdp.envs.tasks.text_code.task import TextCode

PATIENT = {"wall": 60.0, "cpu": 30.0}
SQUARES = calls("f", [((3,), {}), ((4,), {})], expected=[9, 16])
RIGHT, WRONG = "def f(x): return x * x", "def f(x): return x * 2"
ENDLESS = "import time\ndef f(x):\n    while True: time.sleep(1)"
SLOW = "import time\ndef f(x):\n    time.sleep(0.4)\n    return x * x"


@pytest.fixture(params=["A", "B"])
def judge(request):
    with Judge(2, isolation=request.param) as judge:
        try:
            assert judge.tier == request.param
        except JudgeUnavailable as error:
            pytest.skip(str(error))
        yield judge


@pytest.fixture
def best():
    with Judge(2) as judge:
        yield judge


def score(judge, program=RIGHT, suite=SQUARES):
    [verdict] = judge.grade([(f"{program}  # {time.monotonic_ns()}", suite)], **PATIENT)
    return verdict.score


def is_well(judge):
    return [score(judge, program) for program in (RIGHT, WRONG)] == [1.0, 0.0]


def zygotes(judge):
    """The processes that the judge's process has started: a zygote, or the keeper of one."""
    workers = judge._engine._workers
    return [zygote._process.pid for worker in workers for zygote in list(worker._zygotes.values())]


def family(pid):
    """A process and all below it."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *(member for child in children for member in family(int(child)))]
    return []


def sockets():
    """The descriptors of this process that are sockets."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found |= {int(fd)} if "socket" in os.readlink(f"/proc/self/fd/{fd}") else set()
    return found


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def eventually(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def running(judge):
    """The zygotes that are at work on something, once there are any."""
    assert eventually(lambda: any(worker._runs for worker in judge._engine._workers))
    return zygotes(judge)


def script(source, **options):
    """Start Python on a script that can use the judge."""
    prelude = (
        "import os, signal, sys, threading, time\nfrom textmdp.envs.judge import Judge, calls\n"
        f"SQUARES = calls('f', [((3,), {{}})], expected=[9])\nRIGHT, ENDLESS = {RIGHT!r}, {ENDLESS!r}\n"
        "def pids(judge): return [z._process.pid for w in judge._engine._workers for z in w._zygotes.values()]\n"
    )
    command = [sys.executable, "-W", "error", "-c", prelude + textwrap.dedent(source)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


class TestDeath:
    @pytest.mark.parametrize("whom", [0, -1], ids=["keeper", "zygote"])
    def test_killed_while_idle(self, judge, whom):
        for _ in range(2):
            assert is_well(judge)
            for pid in zygotes(judge):
                os.kill(family(pid)[whom], signal.SIGKILL)
        assert is_well(judge)

    def test_killed_at_work_is_tried_again(self, judge):
        pending = judge.submit([(SLOW, SQUARES)], **PATIENT)
        for pid in running(judge):
            os.kill(pid, signal.SIGKILL)
        assert pending.result()[0].score == 1.0

    def test_killed_again_and_again_is_an_error(self, best):
        pending = best.submit([(ENDLESS, SQUARES)], wall=1000.0, cpu=1000.0)

        def kill():
            for pid in running(best) if not pending.done() else ():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return pending.done()

        assert eventually(kill)
        with pytest.raises(InfrastructureError, match=r"lost twice .* fewer `workers`"):
            pending.result()
        assert is_well(best)

    def test_killed_again_and_again_is_an_error_of_the_task(self, best):
        """Through TextCode: an honest program has no score then, least of all 0."""
        task = TextCode(judge=best, wall=1000.0, cpu=1000.0)
        state, _ = task.problem(0)
        [future] = task.submit([state], ["    import time\n    while True: time.sleep(1)"], [None])

        def kill():
            for pid in running(best) if not future._pending.done() else ():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return future._pending.done()

        assert eventually(kill)
        with pytest.raises(InfrastructureError, match="lost twice"):
            future.result()
        assert is_well(best)

    def test_a_missing_verdict_is_an_error(self, best):
        pending = best.submit([(RIGHT, SQUARES), (WRONG, SQUARES)], **PATIENT)
        pending.result()
        pending._verdicts[0] = None
        with pytest.raises(InfrastructureError, match="1 of 2 programs have no verdict"):
            pending.result()

    def test_the_tests_own_zygote_killed(self, best):
        suite = asserts("f", ["assert f(3) == 9"])
        pending = best.submit([(SLOW, suite)], **PATIENT)
        os.kill(running(best)[1], signal.SIGKILL)
        assert pending.result()[0].score == 1.0

    def test_a_frozen_zygote_is_replaced(self, best, monkeypatch):
        monkeypatch.setattr(slot, "GRACE_SECONDS", 0.3)
        pending = best.submit([(SLOW, SQUARES)], wall=2.0, cpu=2.0)
        pids = running(best)
        for pid in pids:
            for member in family(pid):
                os.kill(member, signal.SIGSTOP)
        assert pending.result()[0].score == 1.0
        assert all(map(is_gone, pids))

    def test_death_between_check_and_request(self, best, monkeypatch):
        assert is_well(best)
        is_alive = slot.Zygote.is_alive

        def kill(zygote):
            alive = is_alive(zygote)
            monkeypatch.undo()
            zygote._process.kill()
            assert eventually(lambda: is_gone(zygote._process.pid))
            return alive

        monkeypatch.setattr(slot.Zygote, "is_alive", kill)
        assert is_well(best)

    def test_no_start(self, monkeypatch):
        with Judge(2) as judge:
            assert judge.tier
            with monkeypatch.context() as patch:
                patch.setattr(sys, "executable", "/nowhere/python")
                with pytest.raises(RuntimeError, match="cannot start /nowhere/python"):
                    score(judge)
            with monkeypatch.context() as patch:
                patch.setattr(slot, "_BOOT", "raise SystemExit(3)")
                with pytest.raises(RuntimeError, match="ended at its start, with status 3"):
                    score(judge)
            with monkeypatch.context() as patch:
                patch.setattr(
                    slot, "_BOOT", slot._BOOT.replace("main()", "import inside.preload as p; p.preload = 1; main()")
                )
                with pytest.raises(RuntimeError, match="TypeError"):
                    score(judge)
            with monkeypatch.context() as patch:
                patch.setattr(slot, "_BOOT", "import time; time.sleep(1000)")
                patch.setattr(slot, "START_SECONDS", 0.2)
                with pytest.raises(RuntimeError, match="not ready after"):
                    score(judge)
            assert is_well(judge)

    @pytest.mark.parametrize("how", ["confine_program = lambda *_: 1 / 0", "os.fork = lambda: os.open('/x', 0)"])
    def test_what_is_no_fault_of_the_program(self, monkeypatch, how):
        """A child that can't be confined or made at all: an error, and no verdict."""
        with Judge(1) as judge, monkeypatch.context() as patch:
            assert judge.tier
            broken = slot._BOOT.replace("main()", "import inside.sandbox as sandbox; {}; main()")
            patch.setattr(slot, "_BOOT", broken.format(how if how[0] == "o" else f"sandbox.{how}"))
            with pytest.raises(RuntimeError, match=r"ZeroDivisionError|can't fork"):
                score(judge)
            patch.undo()
            assert is_well(judge)

    def test_no_descriptors_left(self, best):
        assert is_well(best)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        spare = os.dup(0)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (spare, hard))
            with pytest.raises(OSError, match="Too many open files"):
                score(best)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            os.close(spare)
        assert is_well(best)


def child_of(judge):
    """The process of the program that a judge is at work on, once it is there."""

    running(judge)  # before, a zygote has children to try things

    def found():
        return [pid for zygote in zygotes(judge) for pid in family(zygote)[1 + judge._engine._layers.namespaces :]]

    assert eventually(found)
    return found()[0]


class TestLoad:
    """Processor time decides, whatever else the machine does; the wall limit is for programs that are idle."""

    BUSY = "import time\ndef f(x):\n    end = time.process_time() + 0.2\n    while time.process_time() < end: pass\n"

    @pytest.mark.parametrize("suite", [SQUARES, asserts("f", ["assert f(3) == 9"] * 2)], ids=["calls", "asserts"])
    def test_a_busy_machine(self, suite):
        """Four processes compete for the one processor that the judge has."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(before)})
        rivals = []
        try:
            with Judge(1) as judge:
                assert is_well(judge)
                rivals += [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(4)]
                [verdict] = judge.grade([(f"{self.BUSY}    return x * x", suite)], wall=0.4, cpu=20.0)
                assert verdict.score == 1.0
                assert verdict.wall > 0.4  # as it would not have been in time
                [verdict] = judge.grade([(f"{self.BUSY}    time.sleep(1000)", suite)], wall=0.4, cpu=20.0)
                assert {test.reason for test in verdict.tests} == {"timeout"}
        finally:
            os.sched_setaffinity(0, before)
            for rival in rivals:
                rival.kill()
                rival.wait()

    def test_a_stopped_program(self, judge):
        pending = judge.submit([(f"{self.BUSY}    return x * x", SQUARES)], wall=0.5, cpu=20.0)
        pid = child_of(judge)
        os.kill(pid, signal.SIGSTOP)
        [worker] = [worker for worker in judge._engine._workers if worker.jobs]
        assert eventually(lambda: worker._clock.stopped > 1.0)
        os.kill(pid, signal.SIGCONT)
        assert pending.result()[0].score == 1.0

    def test_a_stopped_machine(self):
        """All is stopped, the judge's own process too, as a container may be, for longer than the limit."""
        process = script(
            f"""
            with Judge(1) as judge:
                judge.grade([(RIGHT, SQUARES)])
                slow = judge.submit([({self.BUSY + "    return x * x"!r}, SQUARES)], wall=0.5, cpu=20.0)
                while not (judge._engine._workers[0]._runs and judge._engine._workers[0]._listening): pass
                print(*pids(judge), flush=True)
                [verdict] = slow.result()
                print(verdict.score)
            """
        )
        pids = [int(word) for word in process.stdout.readline().split()]
        everything = [process.pid, *(member for pid in pids for member in family(pid))]
        for pid in everything:
            os.kill(pid, signal.SIGSTOP)
        stopped = time.monotonic()
        assert eventually(lambda: time.monotonic() > stopped + 1.0)
        for pid in everything:
            os.kill(pid, signal.SIGCONT)
        assert process.communicate(timeout=60) == ("1.0\n", "")

    def test_a_program_killed_from_outside_once(self, judge):
        pending = judge.submit([(f"{self.BUSY}    return x * x", SQUARES)], **PATIENT)
        os.kill(child_of(judge), signal.SIGKILL)
        assert pending.result()[0].score == 1.0

    def test_without_the_kernels_count_idle_time_is_wall_clock_time(self, best, monkeypatch):
        monkeypatch.setattr("textmdp.envs.judge.idleness._descendant", lambda *_: None)
        program = "import time\ndef f(x):\n    if x == 3: time.sleep(1000)\n    return x * x"
        [verdict] = best.grade([(program, SQUARES)], wall=0.5)
        assert [test.reason for test in verdict.tests] == ["timeout", "passed"]


class TestNothingIsLeft:
    def test_a_thousand_gradings(self, best):
        programs = [
            (RIGHT, SQUARES),
            (WRONG, SQUARES),
            ("import os\ndef f(x): os._exit(0)", SQUARES),
            ("def f(x): return 'x' * 600_000", SQUARES),
            (
                "for i in range(9):\n    try: open(f'/tmp/{i}', 'w').write('x' * 10**5)\n    except OSError: pass",
                SQUARES,
            ),
            (RIGHT, asserts("f", ["assert f(3) == 9"])),
            ("print(input())", stdio("x", "x")),
        ]
        expected = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]

        def grade(rounds):
            start = time.monotonic_ns()
            for i in range(rounds):
                pairs = [(f"{program}  # {start} {i}", suite) for program, suite in programs]
                assert [verdict.score for verdict in best.grade(pairs, **PATIENT)] == expected

        def state():
            gc.collect()
            members = [member for pid in zygotes(best) for member in family(pid)]
            pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in [os.getpid(), *members]]
            open_files = [len(os.listdir(f"/proc/{pid}/fd")) for pid in [os.getpid(), *members]]
            return zygotes(best), len(members), open_files, threading.active_count(), max(pages)

        for _ in range(50):  # until each of the two slots has had all three kinds of children, whichever it was given
            grade(5)
            if len(zygotes(best)) == 2 * 3:
                break
        *before, pages_before = state()
        assert len(before[0]) == 6
        grade(1000 // len(programs))
        *after, pages_after = state()
        assert after == before
        assert pages_after < pages_before + 2500  # of 4 KiB: 10 MB

    def test_a_full_scratch_disk(self):
        fill = """
        import errno, os
        def f(x):
            for i in range(10000):
                try:
                    os.makedirs(f"/tmp/{i}/a/b")
                    with open(f"/tmp/{i}/file", "wb") as file: file.write(b"x" * 100_000)
                except OSError as error:
                    return os.strerror(error.errno)
        """
        use = "def f(x):\n    open('/tmp/y', 'w').write('x' * 10**6)\n    import os; return os.listdir('/tmp')"
        with Judge(1, isolation="A") as judge:
            try:
                assert judge.tier == "A"
            except JudgeUnavailable as error:
                pytest.skip(str(error))
            for _ in range(3):
                full = calls("f", [((1,), {})], expected=[os.strerror(28)])  # ENOSPC
                assert score(judge, textwrap.dedent(fill), full) == 1.0
                assert score(judge, use, calls("f", [((1,), {})], expected=[["y"]])) == 1.0
            assert len(zygotes(judge)) == 1

    def test_floods_and_late_kills(self, best):
        """The order to kill a child may come when it has ended, or when the next one runs."""
        flood = """
        import os
        for fd in range(3, 9):
            try: os.write(fd, b"ok 9\\n" * 250_000)
            except OSError: pass
        os._exit(0)
        """
        pairs = [(f"{textwrap.dedent(program)}  # {i}", SQUARES) for i in range(15) for program in (flood, RIGHT)]
        verdicts = best.grade(pairs, **PATIENT)
        assert [verdict.score for verdict in verdicts[1::2]] == [1.0] * 15
        assert {verdict.score for verdict in verdicts[::2]} == {0.5}  # it did say 9 once
        assert {test.reason for verdict in verdicts[::2] for test in verdict.tests} == {"passed", "wrong"}

    def test_closing_ends_all(self, judge):
        judge.submit([(ENDLESS, SQUARES), (ENDLESS, asserts("f", ["assert f(1)"]))], wall=1000.0, cpu=1000.0)
        assert eventually(lambda: len(zygotes(judge)) == 3)
        running(judge)
        members = [member for pid in zygotes(judge) for member in family(pid)]
        judge.close()
        assert eventually(lambda: all(map(is_gone, members)))
        assert not any(thread.name == "judge" and thread is judge._engine._thread for thread in threading.enumerate())

    def test_forgetting_a_judge_ends_all(self):
        judge = Judge(1)
        assert is_well(judge)
        pids = zygotes(judge)
        del judge
        gc.collect()
        assert all(map(is_gone, pids))

    def test_a_script_that_just_ends(self):
        process = script("judge = Judge(2)\nprint(judge.grade([(RIGHT, SQUARES)], wall=60.0)[0].score, *pids(judge))")
        told, errors = process.communicate(timeout=60)
        score, *pids = told.split()
        assert (process.returncode, errors, score) == (0, "", "1.0")
        assert all(map(is_gone, pids))

    @pytest.mark.parametrize("sibling", ["", "import ctypes\nif ctypes.CDLL(None).fork() == 0: time.sleep(1000)\n"])
    @pytest.mark.parametrize("tier", ["A", "B"])
    def test_a_killed_parent_leaves_nothing(self, tier, sibling):
        """Even where a process forked from it behind Python's back keeps the other ends of all sockets."""
        process = script(
            f"judge = Judge(1, isolation={tier!r})\njudge.submit([(ENDLESS, SQUARES)], wall=1000.0, cpu=1000.0)\n"
            "while not (judge._engine._workers and judge._engine._workers[0]._runs): time.sleep(0.01)\n"
            "time.sleep(0.2)\nprint(*pids(judge), flush=True)\n" + sibling + "time.sleep(1000)",
            start_new_session=True,
        )
        line = process.stdout.readline()
        if not line:
            pytest.skip(process.communicate()[1])
        members = [member for pid in line.split() for member in family(int(pid))]
        assert len(members) >= 2
        process.kill()
        process.wait()
        try:
            assert eventually(lambda: all(map(is_gone, members)))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.stdout.close()
            process.stderr.close()

    def test_zygotes_are_started_when_they_are_wanted(self):
        with Judge(1) as judge:
            prepared = can_import(layers(judge.tier))  # else all have all modules, so that programs share one
            assert score(judge, RIGHT) == 1.0
            assert len(zygotes(judge)) == 1
            assert score(judge, "import math\n" + RIGHT) == 1.0
            assert len(zygotes(judge)) == 1 + prepared
            assert score(judge, RIGHT, asserts("f", ["assert f(3) == 9"])) == 1.0
            assert score(judge, "import math\n" + RIGHT, asserts("f", ["assert f(3) == 9"])) == 1.0
            assert len(zygotes(judge)) == 2 + prepared

    def test_zygotes_inherit_nothing(self, judge, tmp_path):
        with open(tmp_path / "secret", "w") as secret:
            os.set_inheritable(secret.fileno(), True)
            os.environ["JUDGE_TEST_SECRET"] = "secret"
            try:
                assert is_well(judge)
            finally:
                del os.environ["JUDGE_TEST_SECRET"]
            assert score(judge, RIGHT, asserts("f", ["assert f(3) == 9"])) == 1.0
            for pid in (member for keeper in zygotes(judge) for member in family(keeper)):
                try:
                    links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
                except PermissionError:
                    continue
                rules = [link for link in links if link == "anon_inode:[landlock-ruleset]"]  # its children's
                assert len(rules) <= 1, links
                assert len(links) - len(rules) <= 7, links
                assert not any("secret" in link for link in links)
                assert b"secret" not in Path(f"/proc/{pid}/environ").read_bytes()


class TestSignals:
    def test_ctrl_c(self, judge):
        assert is_well(judge)
        before = zygotes(judge)
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            judge.grade([(f"{ENDLESS}  # {i}", SQUARES) for i in range(5)], wall=1000.0, cpu=1000.0)
        assert is_well(judge)
        assert all(map(is_gone, before))

    def test_ctrl_c_in_a_terminal_is_not_for_the_slots(self):
        process = script(
            """
            signal.signal(signal.SIGINT, lambda *_: print("interrupted", flush=True))
            with Judge(1) as judge:
                slow = judge.submit([("import time\\ndef f(x): time.sleep(1); return x * x", SQUARES)], wall=60.0)
                while not (judge._engine._workers and judge._engine._workers[0]._runs): time.sleep(0.01)
                os.killpg(0, signal.SIGINT)
                print(slow.result()[0].score)
            """,
            start_new_session=True,
        )
        assert process.communicate(timeout=60) == ("interrupted\n1.0\n", "")

    def test_sigpipe(self):
        process = script(
            """
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            with Judge(1) as judge:
                for _ in range(3):
                    print(judge.grade([(f"{RIGHT} #{_}", SQUARES)], wall=60.0)[0].score)
                    for pid in pids(judge): os.kill(pid, signal.SIGKILL)
                judge.grade([(f"import os; os._exit(0) # {'x' * 10**6}", SQUARES)], wall=60.0)
            """
        )
        assert process.communicate(timeout=60) == ("1.0\n" * 3, "")
        assert process.returncode == 0

    def test_interrupted_calls(self, best):
        """A signal whose handler does nothing interrupts no system call for good."""
        before = signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
        try:
            assert all(is_well(best) for _ in range(5))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def in_a_fork(work):
    """Whether `work` returned something true in a forked child of this process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12: there are threads, which is what this is about
        pid = os.fork()
    if pid == 0:
        status = 1
        with contextlib.suppress(BaseException):
            status = 0 if work() else 1
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


class TestProcesses:
    def test_fork_in_the_middle_of_everything(self, judge):
        stop = threading.Event()
        wrong = []

        def work():
            while not stop.is_set():
                if not is_well(judge):
                    wrong.append(1)

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            assert is_well(judge)
            theirs = set(zygotes(judge))

            def child():
                started = judge._engine is None
                return (
                    started
                    and is_well(judge)
                    and not theirs & set(zygotes(judge))
                    and in_a_fork(lambda: is_well(judge))
                )

            assert all(in_a_fork(child) for _ in range(2))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not wrong
        assert is_well(judge)

    def test_a_forked_child_takes_nothing_along(self, best):
        pending = best.submit([(SLOW, SQUARES)], **PATIENT)
        running(best)

        mine = {end.fileno() for end in best._engine._bells}
        for worker in best._engine._workers:
            mine |= {zygote.control.fileno() for zygote in worker._zygotes.values()}
            mine |= {stream.socket.fileno() for run in worker._runs for stream in run.streams}
        others = sockets() - mine

        def child():
            with contextlib.suppress(RuntimeError):
                pending.result()
                return False
            return sockets() <= others

        assert len(mine) >= 4
        assert in_a_fork(child)
        assert pending.result()[0].score == 1.0

    @pytest.mark.parametrize("method", ["spawn", "forkserver"])
    def test_workers_of_a_pool(self, best, method):
        assert is_well(best)
        context = multiprocessing.get_context(method)
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            tasks = [pool.submit(best.grade, [(RIGHT, SQUARES), (WRONG, SQUARES)], **PATIENT) for _ in range(2)]
            assert [[verdict.score for verdict in task.result(60)] for task in tasks] == [[1.0, 0.0]] * 2
        assert is_well(best)

    def test_in_an_async_vector_env(self, best):
        """Its workers are daemons, which `multiprocessing` allows no children."""
        program, suite, limits = RIGHT, SQUARES, PATIENT

        class Graded(gym.Env):
            observation_space = gym.spaces.Box(0, 1, ())
            action_space = gym.spaces.Discrete(2)

            def reset(self, *, seed=None, options=None):
                return 0.0, {}

            def step(self, action):
                [verdict] = best.grade([(program if action else "def f(x): pass", suite)], **limits)
                return 0.0, verdict.score, True, False, {}

        assert is_well(best)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: fork beside threads
            envs = gym.vector.AsyncVectorEnv([Graded] * 2, shared_memory=False, context="fork")
        try:
            envs.reset()
            assert envs.step([1, 0])[1].tolist() == [1.0, 0.0]
        finally:
            envs.close()
        assert is_well(best)

    def test_threads_that_end_before_their_verdicts(self, best):
        pending = []
        thread = threading.Thread(target=lambda: pending.append(best.submit([(SLOW, SQUARES)], **PATIENT)))
        thread.start()
        thread.join()
        assert pending[0].result()[0].score == 1.0

    def test_closed_from_another_thread(self, best):
        pending = best.submit([(ENDLESS, SQUARES)], wall=1000.0, cpu=1000.0)
        threading.Timer(0.2, best.close).start()
        with pytest.raises(RuntimeError, match="closed"):
            pending.result()
