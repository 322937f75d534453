"""Programs that share a child: which may, and that none has another verdict there than alone."""

import builtins
import random
import subprocess
import sys
import textwrap
import types
from datetime import date

import pytest

from textmdp.envs.judge import Judge, asserts, calls, engine
from textmdp.envs.judge.grading import Request, Sizes, grading
from textmdp.envs.judge.inside import restricted_subset as subset_module
from textmdp.envs.judge.inside.programs import compiled
from textmdp.envs.judge.inside.restricted_subset import is_restricted
from textmdp.envs.judge.runs import Outcome, Report

PATIENT = {"wall": 60.0, "cpu": 30.0}
SQUARES = calls("f", [((3,), {}), ((4,), {})], expected=[9, 16])


def restricted(source):
    return is_restricted(compiled(textwrap.dedent(source), "solution.py"))


class TestTheRule:
    @pytest.mark.parametrize(
        "source",
        [
            "def f(x): return x * x",
            "def f(xs):\n    kept = []\n    for x in sorted(xs):\n        kept.append(x)\n    return kept[::-1]",
            "LIMIT = 3\ndef help_me(x): return x\ndef f(x, y=LIMIT): return [i for i in range(help_me(x)) if i % 2]",
            "def f(s):\n    \"\"\"A text.\"\"\"\n    return s.strip().upper().join(['a', 'b']) + f'{s:>5}{len(s)}'",
            "def f(x, y='a'):\n    seen = [0] * x\n    for i in range(x):\n"
            "        seen[i] += 1\n    return sorted(seen, reverse=True)",
            "def f(n):\n    total = 0\n    while total < n and not total == 5:\n        total += 1 if n > 3 else 2\n"
            "    return total, [n, *range(3)], -n, n[1:-1], n is None, n in {1, 2}",
            "def f(n):\n    go = lambda x: x + n\n    return go(1) if n in (1, 2.5, 'a', None) else f(n - 1)",
        ],
    )
    def test_functions_of_data_are_restricted(self, source):
        assert restricted(source)

    @pytest.mark.parametrize(
        "source",
        [
            "import sys\ndef f(x): return x",
            "def f(x, **k): return k",
            "def f(x): return (lambda **k: k)()",
            "def f(*, x=1): return x",
            "from os import *",
            "class f: pass",
            "def f(x): return __builtins__",
            "def f(x): return eval('1')",
            "open = 3",
            "def f(x): return len.mro",
            "def f(x): return '{0.gi_frame}'.format(x)",
            "def f(x): return format(x)",
            "def f(x): return x.encode('idna')",
            "def f(x): return str(b'a', 'idna')",
            "def f(x): return [sorted(x, key=lambda y: y)]",
            "def f(x): return max(x, key=f)",
            "def f(x): x.sort(key=f)",
            "def f(x): return map(f, x)",
            "def f(x): return f(*x)",
            "def f(x): return f(**x)",
            "def f(x): return print(x)",
            "def f(x): return {x: 1}",
            "def f(x): return {x}",
            "def f(x): return {y: y for y in x}",
            "def f(x): return dict(x)",
            "def f(x): return set(x)",
            "def f(x): return reversed(x)",
            "def f(x, y=reversed): return y(x)",
            "def f(x): return zip(x, x)",
            "def f(x): return enumerate(x)",
            "def f(x): return x.items()",
            "def f(x): return x.clear()",
            "def f(x): return x.strptime(x)",
            "def g(x): x[0] = 1\ndef f(x): return x[::-1]",
            "strptime = 0\nf = [].append",
            "def f(x): return (i for i in x)",
            "def f(x): yield x",
            "def f(x): return (yield)",
            "async def f(x): return x",
            "def f(x):\n    def g():\n        def h(): return globals()\n        return h\n    return g",
            "def f(x): x.own = 3",
            "def f(x): del x.own",
            "def f(x): x[::-1] = x",
            "def f(x): x[1:2] = x",
            "def f(x):\n    with x: pass",
            "def f(x):\n    try:\n        return 1 / x\n    except ZeroDivisionError as error:\n        return error",
            "def f(x):\n    try:\n        return 1 / x\n    finally:\n        x = 1",
            "def f(x): raise ValueError(x)",
            "def f(x): assert x",
            "match 1:\n    case int(real=1): pass",
            "def f(x):\n    match x:\n        case int(ｇｉ_frame=y): return y",
            "def f(x): x.ｆ＿locals",  # what the parser makes of it counts
            "def f():\n    global exit\n    exit = 3",
            "@classmethod\ndef f(x): return x",
            "def f(x): return ...",
            "def f(x, y=vars()): return x",
        ],
    )
    def test_who_could_do_more_is_not(self, source):
        assert not restricted(source)

    def test_every_builtin_is_decided_on(self):
        kept = {name for name in dir(builtins) if restricted(f"def f(x): return {name}")}
        unsafe = """
            eval exec compile open input getattr setattr delattr hasattr vars globals locals dir type object super
            property staticmethod classmethod memoryview callable format id breakpoint exit help iter next map filter
            print reversed zip enumerate dict set frozenset isinstance bytes bytearray
        """
        assert {"len", "sum", "sorted", "True"} <= kept
        assert [name for name in kept if isinstance(getattr(builtins, name), type)] == ["range"]
        assert kept.isdisjoint(unsafe.split())

    def test_every_attribute_is_decided_on(self):
        kinds = [kind for kind in (*vars(builtins).values(), *vars(types).values()) if isinstance(kind, type)]
        found = {name for kind in kinds for name in dir(kind)}
        kept = {name for name in found if restricted(f"def f(x): return x.{name}")}
        assert {"append", "upper", "join"} <= kept
        assert {"gi_frame", "tb_frame", "f_back", "f_globals", "co_code", "mro", "args", "obj", "send"} <= found - kept
        of_data = {name for kind in (str, list, set, dict, tuple) for name in dir(kind)}
        assert kept <= of_data - {"format", "format_map", "encode", "translate", "maketrans", "fromkeys"}

    def test_depth_is_no_obstacle(self):
        assert restricted("f = " + "lambda: " * 80 + "0")


@pytest.fixture
def judge(monkeypatch):
    """A judge of one worker, which notes how many programs it took at a time."""
    taken = []
    grading = engine.grading
    monkeypatch.setattr(engine, "grading", lambda requests, sizes: taken.append(requests) or grading(requests, sizes))
    with Judge(1) as judge:
        judge.taken = taken
        yield judge


def grade(judge, programs, suite=SQUARES, **limits):
    return judge.grade([(textwrap.dedent(program), suite) for program in programs], **(limits or PATIENT), sharing=True)


def right(number):
    return f"def f(x): return x * x  # {number}"


RIGHTS = [right(number) for number in range(40)]


class TestSharing:
    def test_only_plain_arguments_and_short_programs(self):
        def may_share(program, *arguments):
            return Request(program, calls("f", [(arguments, {})], expected=[1]), 1.0, 1.0, True).may_share()

        assert may_share(RIGHTS[0], 3, "a", [1, [2.5, None]], -(2**300) == 0)
        assert not [a for a in ({1: 2}, {1}, (1,), b"a", 2**300, date(2026, 1, 1), "{") if may_share(RIGHTS[0], a)]
        assert not may_share(RIGHTS[0] + "#" * 5000, 3)
        assert not Request(RIGHTS[0], asserts("f", ["assert f(3) == 9"]), 1.0, 1.0, True).may_share()
        assert not Request(RIGHTS[0], SQUARES, 1.0, 1.0, False).may_share()

    def test_where_it_is_wanted(self, judge):
        pairs = [(program, SQUARES) for program in RIGHTS]
        assert [verdict.score for verdict in judge.grade(pairs, **PATIENT)] == [1.0] * 40
        assert [len(requests) for requests in judge.taken] == [1] * 40

    def test_a_restricted_program_has_no_other_builtins(self):
        body = """
import os, sys
sys.path.insert(0, sys.argv[1])
from inside import programs, restricted_subset
programs.furnish()
for name in ("help", "exit", "quit", "int", "open"):
    source = f"h = {name}\\ndef f(x): return h(x)"
    assert not restricted_subset.is_restricted(programs.compiled(source, "solution.py")), name
code = programs.compiled("def f(x): return len(x), int(x)", "solution.py")
try:
    programs.load(["f"], code, only=restricted_subset.BUILTINS)[0]([])
except NameError as error:
    os.write(2, str(error).encode())
"""
        folder = subset_module.__file__.rpartition("/inside/")[0]
        done = subprocess.run([sys.executable, "-S", "-c", body, folder], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "name 'int' is not defined")

    def test_many_in_one_child(self, judge):
        verdicts = grade(judge, RIGHTS)
        assert [verdict.score for verdict in verdicts] == [1.0] * 40
        sizes = [len(requests) for requests in judge.taken]
        assert max(sizes) == engine.TOGETHER
        assert sum(sizes) == 40  # none twice
        assert all(verdict.wall > 0 and verdict.cpu > 0 for verdict in verdicts)

    def test_each_has_its_own_verdict(self, judge):
        programs = [
            "def f(x): return x * x",
            "def f(x): return x * 2",
            "def f(x): return x *",
            "def f(x): raise ValueError('no\\nend 1 1\\nalone')",
            "print('one')\ndef f(x): return x * x",
            "def f(x): print('two', x)",
            "def f(x): return [f'{x}' + 'a'] * x",
            "def g(x): return x",
            "1 / 0",
            "def f(x): return 9 if x == 3 else 1 / 0",
            "def f(x): return [x, 'end 0 0\\nalone\\nok 9']",
            "seen = []\ndef f(x):\n    seen.append(x)\n    return 9 * len(seen) - 2 * (len(seen) == 2)",
            "def f(x): return range(x)",
        ] * 2
        programs = [f"{program}\n# {number}" for number, program in enumerate(programs)]
        together = grade(judge, programs)
        assert max(len(requests) for requests in judge.taken) > 5
        with Judge(1) as other:
            alone = [other.grade([(program, SQUARES)], **PATIENT)[0] for program in programs]
        assert [(v.tests, v.stdout) for v in together] == [(v.tests, v.stdout) for v in alone]

    @pytest.mark.parametrize(
        ("claimed", "final"),
        [
            ("ok 9\nok 15", True),
            ('ok 9\nerror ["ZeroDivisionError", "division by zero", "ZeroDivisionError"]', True),
            ('load ["SyntaxError", "invalid syntax (solution.py, line 1)", "SyntaxError"]', True),
            ('ok 9\nerror ["NameError", "", "NameError"]', True),
            ('ok 9\nerror ["KeyError", "\'__import__\'", "KeyError"]', False),
            ('ok 9\nerror ["MemoryError", "", "MemoryError"]', False),
            ('load ["RecursionError", "maximum recursion depth exceeded", "RecursionError"]', False),
            ('error ["Exception", "", "Exception"]\nok 16', False),
            ("ok 9\nok 1 6", False),
            ("ok 9", False),
        ],
    )
    def test_what_may_be_due_to_the_child_is_no_verdict(self, claimed, final):
        requests = [Request(program, SQUARES, 1.0, 1.0, True) for program in RIGHTS[:2]]
        steps = grading(requests, Sizes(1 << 30, 1 << 20))
        assert len(next(steps)) == 1
        claims = f"{claimed}\nend 0.1 0.1\nok 9\nok 16\nend 0.1 0.1\n".encode()
        with pytest.raises(StopIteration) as stop:
            steps.send([Outcome(Report("exit", 0, 0.2, 1 << 20, 0.2), claims, b"", False)])
        first, second = stop.value.value
        assert (first is not None) == final
        assert second.score == 1.0

    def test_a_module_that_arithmetic_needs_is_no_obstacle(self, judge):
        # From Python 3.12 on, division of huge numbers imports one, with the builtins of the program.
        suite = calls("f", [((90000,), {})], expected=[(1 << 90000) // ((1 << 30000) - 1) % 1000003])
        programs = [f"def f(n): return (1 << n) // ((1 << 30000) - 1) % 1000003  # {number}" for number in range(3)]
        assert all(map(restricted, programs))
        assert [verdict.score for verdict in grade(judge, programs, suite)] == [1.0] * 3

    def test_the_others_are_graded_alone(self, judge):
        wild = [f"def f(x): return sum(x for i in range(x))  # {n}" for n in range(3)]
        programs = [*RIGHTS[:5], *wild, *RIGHTS[5:15]]
        assert [verdict.score for verdict in grade(judge, programs)] == [1.0] * 18
        again = [requests[0].program for requests in judge.taken if len(requests) == 1]
        assert {*wild} <= {*again}
        assert sum(map(len, judge.taken)) == 18 + 3

    @pytest.mark.parametrize(
        "bad",
        [
            "def f(x):\n    while True: pass",
            "def f(x): return 1\nwhile True: pass",
            "kept = []\ndef f(x):\n    while True: kept.append([0] * 10**7)",
            "kept = [[0] * 10**7 for i in range(4)]\ndef f(x): return x * x",
            "def f(x):\n    y = ()\n    for i in range(10**6): y = (y,)\n    return y",
            "def f(x):\n    def g(): return g()\n    return g()",
            "def f(x): return 'x' * 10**7",
        ],
        ids=["loop", "loop at once", "no memory", "much memory", "depth", "recursion", "output"],
    )
    def test_none_suffers_from_another(self, judge, bad):
        assert restricted(bad)
        programs = [*RIGHTS[:20], bad, *RIGHTS[20:]]
        verdicts = grade(judge, programs, wall=2.0, cpu=1.0)
        assert [verdict.score for verdict in [*verdicts[:20], *verdicts[21:]]] == [1.0] * 40
        assert max(len(requests) for requests in judge.taken) > 1
        with Judge(1) as other:
            [alone] = grade(other, [bad], wall=2.0, cpu=1.0)
        assert verdicts[20].tests == alone.tests

    def test_a_lost_slot_is_nobodys_score(self, judge, monkeypatch):
        begin, lost = engine._Worker.begin, []

        def losing(worker, launches):
            begin(worker, launches)
            ready = [zygote for zygote in worker._zygotes.values() if zygote.ready]
            if ready and len(lost) < 2:
                lost.append(worker)
                ready[0]._process.kill()

        monkeypatch.setattr(engine._Worker, "begin", losing)
        assert [verdict.score for verdict in grade(judge, RIGHTS)] == [1.0] * 40
        assert len(lost) == 2

    def test_limits_are_those_of_each(self, judge):
        hurried = judge.submit([(program, SQUARES) for program in RIGHTS[:8]], wall=30.0, cpu=20.0, sharing=True)
        patient = judge.submit([(program, SQUARES) for program in RIGHTS[8:16]], **PATIENT, sharing=True)
        assert [verdict.score for verdict in hurried.result() + patient.result()] == [1.0] * 16
        assert all(len({request[2:] for request in requests}) == 1 for requests in judge.taken)

    def test_any_order_any_mixture(self, judge):
        # Every program has one verdict, whoever stands beside it.
        kinds = [
            "def f(x): return x * x",
            "def f(x): return x + 6",
            "def my_square(x): return x * x\ndef f(x): return my_square(x)",
            "import math\ndef f(x): return math.prod([x, x])",
            "def f(x): return undefined",
            "def f(",
        ]
        expected = [1.0, 0.5, 1.0, 1.0, 0.0, 0.0]
        order = random.Random(0).choices(range(len(kinds)), k=60)
        verdicts = grade(judge, [f"{kinds[kind]}\n#{number}" for number, kind in enumerate(order)])
        assert [verdict.score for verdict in verdicts] == [expected[kind] for kind in order]
