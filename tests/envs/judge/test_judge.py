"""The judge's behaviour: what is graded how, in all three kinds of suites and in each tier that the machine offers."""

import math
import pickle
import textwrap
import threading
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from textmdp.envs.judge import LEETCODE, Judge, JudgeUnavailable, asserts, calls, operations, stdio
from textmdp.envs.judge.engine import REMEMBERED

PATIENT = {"wall": 60.0, "cpu": 30.0}
"""Limits that an honest program keeps on a busy machine too."""
SQUARES = calls("f", [((3,), {}), ((4,), {}), ((5,), {})], expected=[9, 16, 25])


@pytest.fixture(scope="module")
def judge():
    with Judge(2) as judge:
        yield judge


@pytest.fixture(scope="module", params=["A", "B", "C"])
def tiered(request):
    """A judge of each tier that the machine offers."""
    with Judge(2, isolation=request.param) as judge:
        try:
            assert judge.tier == request.param
        except JudgeUnavailable as error:
            pytest.skip(str(error))
        yield judge


def reasons(judge, program, suite, **limits):
    [verdict] = judge.grade([(textwrap.dedent(program), suite)], **(limits or PATIENT))
    assert verdict.total == len(suite) == len(verdict.tests)
    assert verdict.passed == sum(test.reason == "passed" for test in verdict.tests)
    assert verdict.score == verdict.passed / verdict.total
    assert all(test.passed == (test.reason == "passed") for test in verdict.tests)
    return [test.reason for test in verdict.tests]


class TestCalls:
    def test_right_and_wrong(self, tiered):
        assert reasons(tiered, "def f(x): return x * x", SQUARES) == ["passed"] * 3
        assert reasons(tiered, "def f(x): return 9 if x == 3 else 1 / 0 if x == 4 else '25'", SQUARES) == [
            "passed",
            "error: ZeroDivisionError: division by zero",
            "wrong",
        ]

    def test_keyword_arguments_and_plain_data(self, judge):
        values = [
            None,
            True,
            2**4000,
            1.5,
            "é\ud83d",
            [1, [2]],
            (1, "a"),
            {"a": (1,), 2: None},
            {1, 2},
            b"\x00\xff",
            1j,
        ]
        suite = calls("f", [((), {"x": value}) for value in values], expected=values)
        assert reasons(judge, "def f(*, x): return x", suite) == ["passed"] * len(values)

    @pytest.mark.parametrize(
        ("program", "reason"),
        [
            ("def f(x) return x", "error: SyntaxError: expected ':' (solution.py, line 1)"),
            ("def f(x):\n  return x\n return 2", "error: IndentationError"),
            ("", "error: NameError: name 'f' is not defined"),
            ("def g(x): return x", "error: NameError: name 'f' is not defined"),
            ("f = 3", "error: TypeError: 'int' object is not callable"),
            ("1 / 0", "error: ZeroDivisionError: division by zero"),
            ("def f(x): return x\0", "error: "),  # SyntaxError or ValueError, by version
            ("'\ud800'", "error: UnicodeEncodeError"),
            ("import sys; sys.exit(0)", "error: SystemExit: 0"),
            ("raise SystemExit", "error: SystemExit"),
            ("def f(x): exit()", "error: SystemExit"),
            ("import sys\ndef f(x): sys.exit()", "error: SystemExit"),
            ("def f(x): raise KeyboardInterrupt", "error: KeyboardInterrupt"),
            ("import os\ndef f(x): os._exit(0)", "killed"),
            ("def f(x): return [0] * 10**12", "memory"),
            ("def f(x): return f(x)", "error: RecursionError"),
            ("def f(x): return 'x' * 2**21", "output"),
            ("x = []\nx.append(x)\ndef f(_): return x", "error: EncodingError: nested deeper"),
            ("def f(x): return f", "wrong"),
            ("def f(x): return NotImplemented", "wrong"),
            ("def f(x): print(x * x)", "wrong"),
        ],
    )
    def test_what_earns_nothing(self, judge, program, reason):
        got = reasons(judge, program, SQUARES)
        assert all(one.startswith(reason) for one in got), got
        assert all(len(one) <= 200 and one.isprintable() for one in got)

    def test_messages_are_one_printable_line(self, judge):
        [reason, *_] = reasons(judge, r"def f(x): raise ValueError('\x1b[31m\n\r' + 'x' * 10**6)", SQUARES)
        assert reason.startswith(r"error: ValueError: \x1b[31m\n\r")
        assert len(reason) <= 200
        assert reason.isprintable()

    def test_an_exception_whose_text_raises(self, judge):
        program = """
        class E(Exception):
            def __str__(self): raise SystemExit
        def f(x): raise E
        """
        assert reasons(judge, program, SQUARES) == ["error: E"] * 3

    @pytest.mark.parametrize("where", range(3))
    @pytest.mark.parametrize(
        ("fault", "reason"),
        [
            ("while True: pass", "timeout"),
            ("import time; time.sleep(1000)", "timeout"),
            ("import os; os._exit(0)", "killed"),
            ("flood()", "output"),
            ("return 'x' * 2**21", "output"),
            ("return [0] * 10**12", "memory"),
        ],
    )
    def test_a_fault_costs_one_test_wherever_it_is(self, tiered, where, fault, reason):
        program = f"""
        import os
        def flood():
            for fd in range(3, 10):
                try: os.write(fd, b"x" * 2**21)
                except OSError: pass
        def f(x):
            if x == {3 + where}:
                {fault}
            return x * x
        """
        expected = ["passed"] * 3
        expected[where] = reason
        assert reasons(tiered, program, SQUARES, wall=1.0, cpu=1.0) == expected
        suite = asserts("f", ["assert f(3) == 9", "assert f(4) == 16", "assert f(5) == 25"])
        assert reasons(tiered, program, suite, wall=1.0, cpu=1.0) == expected

    def test_the_order_of_several_faults_does_not_matter(self, judge):
        program = "def f(x):\n    while x > 3: pass\n    return x"
        for order in ([4, 5, 6, 1, 2], [1, 2, 4, 5, 6], [4, 1, 5, 2, 6]):
            suite = calls("f", [((x,), {}) for x in order], expected=order)
            assert reasons(judge, program, suite, wall=1.0, cpu=1.0) == [
                "timeout" if x > 3 else "passed" for x in order
            ]

    def test_many_faults(self, judge):
        """Many children follow each other; each test has its own result all the same."""
        program = "import os\ndef f(x):\n    if x % 3 == 1: os._exit(0)\n    return x"
        expected = ["killed" if x % 3 == 1 else "passed" for x in range(40)]
        assert reasons(judge, program, calls("f", [((x,), {}) for x in range(40)], expected=range(40))) == expected
        assert reasons(judge, program, asserts("f", [f"assert f({x}) == {x}" for x in range(40)])) == expected
        program = program.replace("% 3 == 1", "== 3")
        expected = ["killed" if x == 3 else "passed" for x in range(40)]
        assert reasons(judge, program, calls("f", [((x,), {}) for x in range(40)], expected=range(40))) == expected
        assert reasons(judge, program, asserts("f", [f"assert f({x}) == {x}" for x in range(40)])) == expected

    def test_limits_of_a_test(self, judge):
        program = "import time\ndef f(x):\n    t = time.process_time()\n    while time.process_time() < t + x: pass"
        suite = calls("f", [((x,), {}) for x in (0.1, 0.4, 0.1)], expected=[None] * 3)
        assert reasons(judge, program, suite, cpu=30.0, test_cpu=0.2) == ["passed", "timeout", "passed"]
        assert reasons(judge, program, suite, cpu=30.0, test_cpu=20.0) == ["passed"] * 3
        suite = calls("f", [((0.1,), {})] * 8, expected=[None] * 8)  # each starts when the one before has ended
        assert reasons(judge, program, suite, cpu=30.0, test_cpu=0.3) == ["passed"] * 8

    def test_a_program_that_does_not_load_is_loaded_once(self, judge):
        for program, reason in (("while True: pass", "timeout"), ("import os; os._exit(0)", "killed")):
            for suite in (SQUARES, asserts("f", ["assert f(3) == 9"] * 3)):
                [verdict] = judge.grade([(program, suite)], cpu=0.5)
                assert [test.reason for test in verdict.tests] == [reason] * 3
                assert verdict.cpu < 0.5  # it had a test's part of that

    def test_limits_are_for_all_calls_together(self, judge):
        program = "import time\ndef f(x): time.sleep(0.4); return x * x"
        assert reasons(judge, program, SQUARES, wall=1.0, cpu=1.0)[-1] == "timeout"

    def test_calls_before_a_crash_count(self, judge):
        program = "import os\ndef f(x):\n    if x == 4: os._exit(0)\n    return x * x"
        assert reasons(judge, program, SQUARES) == ["passed", "killed", "passed"]

    def test_output_is_bounded(self, judge):
        """By what the judge was made with, for each result."""
        program, tests = "def f(n): return 'x' * n", (400_000, 2**20 - 2, 2**20 - 1, 10, 2**21 - 2)
        suite = calls("f", [((n,), {}) for n in tests], expected=["x" * n for n in tests])
        short = ["passed", "passed", "output", "passed", "output"]  # two more for the quotes
        assert reasons(judge, program, suite) == short
        of_asserts = asserts("f", [f"assert f({n}) == 'x' * {n}" for n in tests])
        assert reasons(judge, program, of_asserts) == short
        printing = "print('x' * (int(input()) + 1))"
        of_stdio = stdio([str(n) for n in tests], ["x" * (n + 1) for n in tests])
        assert reasons(judge, printing, of_stdio) == short
        with Judge(1, output=2**21) as larger:
            for source, tested in ((program, suite), (program, of_asserts), (printing, of_stdio)):
                assert reasons(larger, source, tested) == ["passed"] * 5
        for source, tested in ((program, suite), (program, of_asserts), (printing, of_stdio)):
            assert reasons(judge, source, tested, output=2**21, **PATIENT) == ["passed"] * 5
        with Judge(1, output=100) as smaller:
            assert reasons(smaller, program, suite) == ["output"] * 3 + ["passed", "output"]
            assert reasons(smaller, program, of_asserts) == ["output"] * 3 + ["passed", "output"]

    def test_memory_is_bounded(self):
        program = "def f(x):\n    data = bytearray(200 << 20)\n    return x * x"
        with Judge(1, memory=128 << 20) as judge:
            assert reasons(judge, program, SQUARES) == ["memory"] * 3
        with Judge(1, memory=512 << 20) as judge:
            assert reasons(judge, program, SQUARES) == ["passed"] * 3

    def test_peak_memory(self, judge):
        program = "def f(x):\n    data = b'x' * (100 << 20) if x == 4 else b''\n    return x * x"
        small, large = judge.grade([("def f(x): return x * x  # memory", SQUARES), (program, SQUARES)], **PATIENT)
        assert 5 << 20 < small.memory < 80 << 20  # the interpreter's own
        assert 100 << 20 < large.memory < 200 << 20
        for suite in (asserts("f", ["assert f(3) == 9", "assert f(4) == 16"]), stdio("", "")):
            source = program if suite.__class__.__name__ == "Asserts" else "len(b'x' * (100 << 20))"
            [verdict] = judge.grade([(source, suite)], **PATIENT)
            assert (verdict.score, verdict.memory > 100 << 20) == (1.0, True)

    def test_a_program_is_an_imported_module(self, judge):
        program = """
        from __future__ import annotations
        import sys, typing, dataclasses
        assert __name__ != "__main__" and sys.modules[__name__].__dict__ is globals()
        @dataclasses.dataclass
        class P:
            x: int
        assert typing.get_type_hints(P) == {"x": int}
        def f(x): return P(x * x).x
        if __name__ == "__main__":
            sys.exit("not run")
        """
        assert reasons(judge, program, SQUARES) == ["passed"] * 3

    @pytest.mark.parametrize("word", ["", "  # an import"], ids=["prepared for nothing", "prepared for imports"])
    def test_what_a_program_gets_without_importing_it(self, tiered, word):
        """Programs that don't say so are not expected to import anything, and can."""
        program = "def f(x): return eval('__imp' + 'ort__(\"statistics\").median')([x, x * x, 100])" + word
        assert reasons(tiered, program, SQUARES) == ["passed"] * 3
        program = "def f(x): return len(str(x).encode('utf-16-le')) and x * x" + word
        assert reasons(tiered, program, SQUARES) == ["passed"] * 3
        values = [Fraction(1, 3), Decimal("1.5"), date(2026, 2, 3), timedelta(1, 2)]
        given = calls("f", [((value,), {}) for value in values], expected=[[value, value] for value in values])
        assert reasons(tiered, "def f(x): return [x, x]" + word, given) == ["passed"] * 4

    def test_ints_of_any_length(self, tiered):
        """Python refuses to write or read ints of more than 4,300 digits unless told otherwise."""
        huge = 10**5000 + 7
        text = "1" + "0" * 4999 + "7"
        given = calls("f", [((huge,), {}), ((text,), {})], expected=[[huge, 5001], [huge, 5001]])
        assert reasons(tiered, "def f(x): return [int(x), len(str(x))]", given) == ["passed"] * 2
        suite = asserts("f", [f"assert f(1) == {text}", f"assert str(f(1)) == '{text}'"])
        assert reasons(tiered, "def f(x): return 10**5000 + 7", suite) == ["passed"] * 2
        assert reasons(tiered, "print(int(input()) + 1)", stdio(text, text[:-1] + "8")) == ["passed"]
        with pytest.raises(ValueError, match="plain data"):
            calls("f", [(({1: [10**5000], 2: object()},), {})], expected=[1])

    def test_what_arithmetic_imports(self, tiered):
        """From Python 3.12 on, dividing huge numbers takes a module."""
        program = "def f(n): return (1 << n) // ((1 << 30000) - 1) % 1000003"
        given = calls("f", [((90000,), {})], expected=[(1 << 90000) // ((1 << 30000) - 1) % 1000003])
        assert reasons(tiered, program, given) == ["passed"]

    def test_no_signal_is_blocked(self, judge):
        """A zygote blocks SIGCHLD, which would be inherited."""
        program = "import signal\ndef f(): return list(signal.pthread_sigmask(signal.SIG_BLOCK, []))"
        assert reasons(judge, program, calls("f", [((), {})], expected=[[]])) == ["passed"]

    def test_more_than_the_kernel_holds(self, judge):
        """Nobody listens to a program at first, so it waits until somebody does."""
        program = "def f(n): return 'x' * n"
        suite = calls("f", [((n,), {}) for n in (300_000, 1, 300_000)], expected=["x" * 300_000, "x", "x" * 300_000])
        assert reasons(judge, program, suite) == ["passed"] * 3

    def test_a_method_of_solution(self, judge):
        program = """
        class Solution:
            seen = 0
            def f(self, x):
                self.seen += 1
                return x * x if self.seen == 1 else None
        """
        assert reasons(judge, program, SQUARES) == ["passed"] * 3

    def test_results_in_place(self, tiered):
        suite = calls("f", [(([3, 1, 2],), {}), (([],), {})], expected=[[1, 2, 3], []], check="argument 0")
        assert reasons(tiered, "def f(xs): xs.sort(); return 7", suite) == ["passed"] * 2
        assert reasons(tiered, "def f(xs): return sorted(xs)", suite) == ["wrong", "passed"]
        assert reasons(tiered, "def f(xs): xs = sorted(xs)", suite) == ["wrong", "passed"]
        assert (
            reasons(tiered, "def f(xs): xs.sort(); 1 / 0", suite) == ["error: ZeroDivisionError: division by zero"] * 2
        )
        named = calls("f", [((), {"xs": [2, 1]})], expected=[[1, 2]], check="argument xs")
        assert reasons(tiered, "class Solution:\n  def f(self, xs): xs[:] = xs[::-1]", named) == ["passed"]
        [verdict] = tiered.grade([("def f(xs): xs.sort()", suite)], **PATIENT, sharing=True)
        assert verdict.score == 1.0

    def test_operations(self, tiered):
        suite = operations(
            [
                (["Stack", "push", "push", "all", "pop", "all"], [[], [1], [2], [], [], []]),
                (["Stack", "push", "pop"], [[3], [1], []]),
            ],
            expected=[[None, None, None, [1, 2], 2, [1]], [None, None, 1]],
        )
        program = """
            class Stack:
                def __init__(self, size=9): self.items = []
                def push(self, x): self.items.append(x)
                def pop(self): return self.items.pop()
                def all(self): return self.items
        """
        assert reasons(tiered, program, suite) == ["passed"] * 2
        assert reasons(tiered, program.replace("pop()", "pop(0)"), suite) == ["wrong", "passed"]
        assert (
            reasons(tiered, program.replace("def pop", "def top"), suite)
            == ["error: AttributeError: 'Stack' object has no attribute 'pop'"] * 2
        )
        assert reasons(tiered, "class Heap: pass", suite) == ["error: NameError: name 'Stack' is not defined"] * 2

    def test_a_preamble(self, tiered):
        program = "class Solution:\n  def f(self, xs: List[int]) -> Optional[int]: return pow(len(deque(xs)), -1, 7)"
        inputs = [(([1, 2, 3],), {})]
        assert reasons(tiered, program, calls("f", inputs, [5])) == ["error: NameError: name 'List' is not defined"]
        assert reasons(tiered, program, calls("f", inputs, [5], preamble=LEETCODE)) == ["passed"]
        assert reasons(tiered, program, asserts("f", ["assert f([1, 2, 3]) == 5"], preamble=LEETCODE)) == ["passed"]
        future = "from __future__ import annotations\nprint(gcd(4, 6))\n1 / 0"
        [reason] = reasons(tiered, future, stdio("", "2", preamble=LEETCODE))
        assert reason == "error: ZeroDivisionError: division by zero"

    def test_huge_numbers_are_read_and_written(self, tiered):
        program = "def f(text): return int(text) + int(str(10**5000))"
        suite = calls("f", [(("1" + "0" * 6000,), {})], [10**6000 + 10**5000])
        assert reasons(tiered, program, suite) == ["passed"]
        assert reasons(tiered, "print(int(input()) + 1)", stdio("9" * 5000, "1" + "0" * 5000)) == ["passed"]

    def test_printing_is_kept_apart_and_clipped(self, judge):
        program = (
            "for i in range(9000): print(i)\ndef f(x):\n    import sys; print(3, file=sys.stderr)\n    return x * x"
        )
        [verdict] = judge.grade([(program, SQUARES)], **PATIENT)
        assert verdict.score == 1.0
        assert verdict.stdout.endswith("8998\n8999\n")
        assert len(verdict.stdout) == 8192
        [verdict] = judge.grade([("import os\nos.write(1, b'ok 9\\n')\ndef f(x): pass", SQUARES)], **PATIENT)
        assert (verdict.score, verdict.stdout) == (0.0, "")

    def test_a_broken_stdout_breaks_nothing(self, judge):
        program = "import sys\nsys.stdout.close()\nsys.stdout = None\ndef f(x): return x * x"
        assert reasons(judge, program, SQUARES) == ["passed"] * 3

    def test_times_are_reported(self, judge):
        program = "import time\ndef f(x):\n    t = time.process_time()\n    while time.process_time() < t + 0.1: pass"
        [verdict] = judge.grade([(program, calls("f", [((1,), {})], expected=[None]))], **PATIENT)
        assert verdict.score == 1.0
        assert verdict.wall >= 0.1
        assert verdict.cpu >= 0.09

    def test_programs_repeat_themselves(self, judge):
        program = "import random\ndef f(i): return [random.random(), list({str(i) for i in range(50)}), hash('x')]"
        suite = calls("f", [((1,), {})], expected=[None])
        told = "\nraise ValueError(str(f(1))[:150])"
        [one] = {reasons(judge, f"{program}{told}#{i}", suite)[0] for i in range(4)}
        assert one.startswith("error: ValueError: [0.")

    def test_globals_live_as_long_as_the_suite(self, judge):
        program = "seen = []\ndef f(x):\n    seen.append(x)\n    return len(seen)"
        suite = calls("f", [((0,), {})] * 3, expected=[1, 2, 3])
        assert reasons(judge, program, suite) == ["passed"] * 3
        assert reasons(judge, program + "\n# again", suite) == ["passed"] * 3

    @pytest.mark.parametrize(
        "claims",
        [
            b"ok 9\nok 16\n",  # honest up to there, then nothing
            b"ok 9\nok 16\n25\n",
            b"ok 9\nok 16\nok {\n",
            b"ok 9\nok 16\nok [[[\n" * 1000,
            b"ok 9\nok 16\nload x\n",
            b"ok 9\nok 16\nerror {}\n",
            b"ok 9\nok 16\n\xff\xfe\n",
            b"ok 9\nok 16\n" + b"[" * 100_000,
        ],
    )
    def test_claims_outside_the_protocol(self, judge, claims):
        program = f"""
        import os
        for fd in range(3, 10):
            try: os.write(fd, {claims!r})
            except OSError: pass
        os._exit(0)
        """
        # What it says truly, it may say so. Of the third test it says the same in a process of its own.
        assert reasons(judge, program, SQUARES) in (["passed", "passed", "wrong"], ["passed", "passed", "killed"])


class TestAsserts:
    def test_right_and_wrong(self, tiered):
        suite = asserts("f", ["assert f(2) == 4", "assert f(x=3) == 9", "assert f(4) == 17", "f('a')"])
        got = reasons(tiered, "def f(x): return x * x", suite)
        assert got[:3] == ["passed", "passed", "wrong"]
        assert got[3].startswith("error: TypeError: can't multiply")

    def test_a_check_function(self, judge):
        setup = "def check(candidate):\n    for i in range(50):\n        assert candidate(i) == i * i\n"
        suite = asserts("f", ["check(f)"], setup)
        assert reasons(judge, "def f(x): return x * x", suite) == ["passed"]
        assert reasons(judge, "def f(x): return x * x if x < 49 else 0", suite) == ["wrong"]

    def test_each_test_starts_from_the_setup(self, judge):
        suite = asserts("f", ["x.append(f(1)); assert x == [1]", "assert x == []", "y"], "x = []")
        assert reasons(judge, "def f(x): return x", suite) == [
            "passed",
            "passed",
            "error: NameError: name 'y' is not defined",
        ]

    def test_exceptions_cross_over(self, judge):
        catch = "try: f({})\nexcept {}: pass\nelse: assert False"
        tests = [catch.format(0, "ValueError"), catch.format(1, "KeyError"), catch.format(2, "LookupError")]
        program = """
        class Mine(KeyError): pass
        def f(i): raise (ValueError("v"), Mine("k"), Mine("k"))[i]
        """
        assert reasons(judge, program, asserts("f", tests)) == ["passed"] * 3
        assert reasons(judge, "def f(i): raise SystemExit", asserts("f", ["assert f(1)"])) == [
            "error: RuntimeError: SystemExit: "
        ]
        assert reasons(judge, "def f(i): 1 / 0", asserts("f", ["assert f(1)"])) == [
            "error: ZeroDivisionError: division by zero"
        ]

    @pytest.mark.parametrize("error", ["StopIteration", "StopAsyncIteration", "GeneratorExit", "SystemExit"])
    def test_no_exception_ends_a_loop_of_the_tests(self, judge, error):
        suite = asserts("f", ["assert all(map(lambda x: f(x) == x * x, range(9)))", "assert not list(map(f, [1]))"])
        got = reasons(judge, f"def f(x): raise {error}", suite)
        assert [reason.startswith("error: RuntimeError") for reason in got] == [True, True]

    def test_values_are_plain_data(self, judge):
        program = """
        class Equal(int):
            def __eq__(self, other): return True
            def __ne__(self, other): return False
            __lt__ = __gt__ = __le__ = __ge__ = __eq__
            def __hash__(self): return 0
        def f(x): return [Equal(1), object(), Equal, iter([0, 1])][x]
        """
        tests = ["assert f(0) == 2", "assert f(1) == 2", "assert f(2) == 2", "assert list(f(3)) == [0, 1]"]
        assert reasons(judge, program, asserts("f", tests)) == ["wrong", "wrong", "wrong", "passed"]

    @pytest.mark.parametrize("value", ["nan", "inf"])
    def test_non_finite_results_are_only_for_tests_that_speak_of_them(self, judge, value):
        program = f"def f(x): return [{{'a': (float('{value}'),)}}, iter([float('{value}')])][x]"
        test = "for v in [f(0)['a'][0], *f(1)]:\n    if abs(v - 2) > 1e-6 * max(1, abs(v)): assert False"
        [reason] = reasons(judge, program, asserts("f", [test]))
        assert reason == f"error: FloatingPointError: the result holds {value}, which the tests do not expect"
        test = f"import math\nassert math.is{value}(f(0)['a'][0])"
        assert reasons(judge, program, asserts("f", [test])) == ["passed"]

    @pytest.mark.parametrize(
        "value",
        [
            "Decimal('NaN')",
            "Decimal('-Infinity')",
            "[{1: (Decimal('NaN'),)}]",
            "iter([float('nan')])",
            "complex(0, float('inf'))",
            "'nan'",
            "' -Infinity '",
            "{float('inf')}",
        ],
    )
    def test_numbers_that_are_none_slip_through_no_check(self, judge, value):
        program = f"from decimal import Decimal\ndef f(): return {value}"
        [reason] = reasons(judge, program, asserts("f", ["if f() == 1: raise ValueError('info, banana')"]))
        assert reason.startswith("error: FloatingPointError: the result holds")
        aware = ["from math import isnan, isinf\nassert f() is not None"]
        assert reasons(judge, program, asserts("f", aware)) == ["passed"]

    def test_tests_that_raise(self, tiered):
        suite = asserts(
            "f", ["if f(3) != 9: raise ValueError('no')", "import pytest\npytest.raises(TypeError, f, None)"]
        )
        assert reasons(tiered, "def f(x): return x * x", suite) == ["passed"] * 2
        assert reasons(tiered, "def f(x): return x", suite) == ["error: ValueError: no", "wrong"]

    def test_lost_programs_pass_nothing_more(self, judge):
        program = "import os\ndef f(x):\n    if x == 2: os._exit(0)\n    return x * x"
        tests = ["assert f(1) == 1", "try: f(2)\nexcept: pass", "assert True"]
        assert reasons(judge, program, asserts("f", tests)) == ["passed", "killed", "passed"]
        tests = ["try: f(2)\nexcept: pass", "assert True"]
        assert reasons(judge, program, asserts("f", tests)) == ["killed", "passed"]

    def test_timeouts(self, judge):
        program = "def f(x):\n    while x == 2: pass\n    return x * x"
        suite = asserts("f", ["assert f(1) == 1", "assert f(2) == 4", "assert f(3) == 9"])
        assert reasons(judge, program, suite, wall=1.0, cpu=0.5) == ["passed", "timeout", "passed"]
        suite = asserts("f", ["assert f(1) == 1", "while f(1): pass", "assert f(3) == 9"])
        assert reasons(judge, program, suite, wall=1.0, cpu=0.5) == ["passed", "timeout", "passed"]

    def test_load_failures(self, judge):
        suite = asserts("f", ["assert f(1) == 1", "assert True"])
        assert reasons(judge, "def f(:", suite)[0].startswith("error: SyntaxError")
        assert reasons(judge, "1 / 0", suite) == ["error: ZeroDivisionError: division by zero"] * 2

    def test_memory_and_output(self, judge):
        suite = asserts("f", ["assert f(1)", "assert True"])
        assert reasons(judge, "def f(x): return [0] * 10**12", suite) == ["memory", "passed"]
        flood = """
        import os
        def f(x):
            for fd in range(3, 10):
                try: os.write(fd, b"x" * (3 << 20))
                except OSError: pass
        """
        flooded, other = reasons(judge, flood, suite)
        assert (flooded in ("output", "killed"), other) == (True, "passed")

    @pytest.mark.parametrize(
        "line", ["passed", "ok", "ok {", "ok true\\npassed\\npassed", "\\xff", "error []", "error 3"]
    )
    def test_forged_lines(self, judge, line):
        program = f"""
        import os
        def f(x):
            for fd in range(3, 20):
                try: os.write(fd, b"{line}\\n" * 3)
                except OSError: pass
            os._exit(0)
        """
        suite = asserts("f", ["assert f(5) == 25", "assert f(2) == 4", "assert f(3) == 9"])
        assert "passed" not in reasons(judge, program, suite)

    def test_the_program_finds_no_tests(self, judge):
        program = """
        import gc, sys
        word = "yzzyx"[::-1]
        def f(x):
            frame, seen = sys._getframe(), []
            while frame:
                seen.append((frame.f_locals, frame.f_globals))
                frame = frame.f_back
            return word in str(seen) or word in str(gc.get_objects())
        """
        assert reasons(judge, program, asserts("f", ["assert f(1) is True"])) == ["passed"]  # it can find its own
        program = program.replace("word =", "word = '' +").replace("word in", "'-' + word in")
        assert reasons(judge, program, asserts("f", ["assert f(1) is False, '-xyzzy'"])) == ["passed"]

    def test_printing_of_the_program_is_kept(self, judge):
        suite = asserts("f", ["print('not mine'); assert f(1) == 1"])
        [verdict] = judge.grade([("print('hello')\ndef f(x): print(x); return x", suite)], **PATIENT)
        assert (verdict.score, verdict.stdout) == (1.0, "hello\n1\n")


class TestStdio:
    SUM = stdio(["3 4\n", "1 2", ""], ["7\n", "3", "0"])

    @pytest.mark.parametrize(
        "program",
        [
            "print(sum(map(int, open(0).read().split())))",
            "import sys; print(sum(map(int, sys.stdin.read().split())))",
            "import sys; print(sum(int(word) for line in sys.stdin for word in line.split()))",
            "import sys; print(sum(map(int, sys.stdin.buffer.read().split())), end='')",
            "import os; os.write(1, str(sum(map(int, os.read(0, 100).split()))).encode())",
            "import os, io; print(sum(map(int, io.BytesIO(os.read(0, os.fstat(0).st_size)).read().split())))",
            "try: print(sum(map(int, input().split())))\nexcept EOFError: print(0)",
            "import sys\nif __name__ == '__main__': print(sum(map(int, sys.stdin.read().split()))); sys.exit()",
            "import sys\nprint(sum(map(int, sys.stdin.read().split())), ' \\t')\nprint()\nsys.exit(0)",
            "import threading\nthreading.Thread(target=lambda: print(sum(map(int, open(0).read().split())))).start()",
            "print(sum(map(int, open(0).read().split())))\nexit()",
            "print(sum(map(int, open(0).read().split())))\nquit(0)\nprint('no more')",
            "import sys, atexit\ns = sum(map(int, sys.stdin.read().split()))\natexit.register(lambda: print(s))",
            "import sys\nsys.setrecursionlimit(10**6)\ndef g(n): return 0 if n == 0 else g(n - 1)\n"
            "g(5000)\nprint(sum(map(int, sys.stdin.read().split())))",
        ],
    )
    def test_ways_to_read_and_write(self, judge, program):
        assert reasons(judge, program, self.SUM) == ["passed"] * 3

    @pytest.mark.parametrize(
        "program",
        [
            "print(open('/dev/stdin').read())",
            "import sys; sys.stdin = open('/dev/stdin', encoding='ascii'); print(input())",
            "import io; print(io.open('/dev/fd/0', 'rb').read().decode())",
            "from pathlib import Path; print(Path('/dev/stdin').read_text())",
            "import os; d = os.open('/dev/stdin', os.O_RDONLY); os.write(1, os.read(d, 9))",
            "import fileinput; print(*fileinput.input('/dev/stdin'))",
            "open('/dev/stdout', 'w').write(input())",
            "import os, sys; assert os.path.basename(__file__) == sys.argv[0] == 'solution.py'; print(input())",
        ],
    )
    def test_files_of_a_script(self, tiered, program):
        assert reasons(tiered, program, stdio("1 2", "1 2")) == ["passed"]

    def test_tiers(self, tiered):
        assert reasons(tiered, "print(sum(map(int, open(0).read().split())))", self.SUM) == ["passed"] * 3
        assert (
            reasons(tiered, "import sys; print(sum(map(int, sys.stdin.read().split())) or 1)", self.SUM)[-1] == "wrong"
        )

    def test_one_pair_of_texts(self, judge):
        assert reasons(judge, "print(input()[::-1])", stdio("äöü\n", "üöä\n")) == ["passed"]

    @pytest.mark.parametrize(
        ("printed", "reason"),
        [
            ("1\n2\n3\n", "passed"),
            ("1  \n2\t\n3\r\n\n \n", "passed"),
            ("1\n2\n3", "passed"),
            ("1\n2\n", "wrong"),
            ("1\n2\n3\n4\n", "wrong"),
            ("\n1\n2\n3\n", "wrong"),
            ("1\n\n2\n3\n", "wrong"),
            (" 1\n2\n3\n", "wrong"),
            ("1 2 3\n", "wrong"),
            ("1\n2\n3.0\n", "wrong"),
            ("", "wrong"),
        ],
    )
    def test_what_is_the_same_output(self, judge, printed, reason):
        assert reasons(judge, f"print({printed!r}, end='')", stdio("", "1\n2 \n3\n\n")) == [reason]

    @pytest.mark.parametrize(
        ("end", "reason"),
        [
            ("1 / 0", "error: ZeroDivisionError: division by zero"),
            ("def", "error: SyntaxError"),
            ("import sys; sys.exit(3)", "error: SystemExit: 3"),
            ("import sys; sys.exit('no')", "error: SystemExit: no"),
            ("import os, sys; sys.stdout.flush(); os._exit(3)", "error: exit status: 3"),
            ("[0] * 10**12", "memory"),
            ("while True: pass", "timeout"),
            ("while True: print('x' * 1000)", "output"),
            ("import os, sys; sys.stdout.flush(); os.abort()", "killed"),
        ],
    )
    def test_right_output_is_not_enough(self, judge, end, reason):
        [got] = reasons(judge, f"print(7, flush=True)\n{end}", stdio("3 4", "7"), wall=2.5, cpu=1.5)
        assert got.startswith(reason)

    def test_limits_are_for_each_case(self, judge):
        program = "import time\nif input() == '2': time.sleep(100)\nprint('x')"
        suite = stdio(["1\n", "2\n", "3\n"], ["x", "x", "x"])
        assert reasons(judge, program, suite, wall=1.0, cpu=1.0) == ["passed", "timeout", "passed"]

    def test_cases_share_nothing(self, judge):
        program = "import sys, math\nprint(getattr(math, 'mark', 0))\nmath.mark = 1"
        assert reasons(judge, program, stdio(["", ""], ["0", "0"])) == ["passed", "passed"]

    def test_large_texts(self, judge):
        text = "".join(f"{i}\n" for i in range(120_000))
        assert reasons(judge, "import sys; sys.stdout.write(sys.stdin.read())", stdio(text, text)) == ["passed"]

    def test_output_is_kept(self, judge):
        [verdict] = judge.grade([("print(input() * 3)", stdio(["a", "b"], ["aaa", "x"]))], **PATIENT)
        assert verdict.stdout == "aaa\nbbb\n"
        assert verdict.score == 0.5


class TestJudge:
    def test_order_and_number(self, judge):
        pairs = [(f"def f(x): return x * x + {i % 3}", SQUARES) for i in range(30)]
        assert [verdict.score for verdict in judge.grade(pairs, **PATIENT)] == [float(i % 3 == 0) for i in range(30)]
        assert judge.grade([]) == []

    def test_large_payloads(self, judge):
        long = "x" * 3_000_000  # more than a socket takes at once, both ways
        suite = calls("f", [((long,), {}), ((long,), {})], expected=[len(long)] * 2)
        program = f"# {long}\ndef f(x): return len(x)"
        assert reasons(judge, program, suite) == ["passed"] * 2
        assert reasons(judge, f"import os; os._exit(0) # {long}", suite) == ["killed"] * 2

    def test_equal_requests_are_graded_once(self):
        noise = "import time\ndef f(x): return time.time_ns()"
        other = "import os\ndef f(x): os._exit(0)"
        suite = calls("f", [((1,), {})], expected=[0])
        with Judge(2) as judge:
            one, two, three = judge.grade([(noise, suite)] * 3, **PATIENT)
            assert one is two is three
            assert judge.grade([(noise, suite)], **PATIENT)[0] is one
            assert judge.grade([(noise, calls("f", [((1,), {})], expected=[0]))], **PATIENT)[0] is one
            assert judge.grade([(noise, suite)], wall=59.0, cpu=30.0)[0] is not one
            assert judge.grade([(noise, calls("f", [((2,), {})], expected=[0]))], **PATIENT)[0] is not one
            [first] = judge.grade([(other, suite)], **PATIENT)
            assert judge.grade([(other, suite)], **PATIENT)[0] is not first  # it may be otherwise next time
        assert REMEMBERED >= 1000

    def test_submit_does_not_wait(self, judge):
        slow = judge.submit([("import time\ndef f(x): time.sleep(0.4); return x * x", SQUARES)], **PATIENT)
        assert not slow.done()
        assert judge.grade([("def f(x): return x * x  # at once", SQUARES)], **PATIENT)[0].score == 1.0
        with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
            slow.result(0.01)
        assert slow.result()[0].score == 1.0
        assert slow.done()

    def test_withdrawn_submissions_are_killed(self):
        with Judge(1) as judge:
            endless = judge.submit([("def f(x):\n    while True: pass", SQUARES)], wall=1000.0, cpu=1000.0)
            queued = judge.submit([("def f(x): return x * x", SQUARES)], **PATIENT)
            endless.cancel()
            with pytest.raises(RuntimeError, match="withdrawn"):
                endless.result()
            assert queued.result()[0].score == 1.0

    def test_what_others_wait_for_is_not_withdrawn(self, judge):
        pair = ("import time\ndef f(x): time.sleep(0.3); return x * x", SQUARES)
        one, two = judge.submit([pair], **PATIENT), judge.submit([pair], **PATIENT)
        one.cancel()
        assert two.result()[0].score == 1.0

    def test_many_threads(self, judge):
        wrong = []

        def work(number):
            for i in range(5):
                verdicts = judge.grade(
                    [(f"def f(x): return x * x + {k}  # {number} {i}", SQUARES) for k in (0, 1)], **PATIENT
                )
                if [verdict.score for verdict in verdicts] != [1.0, 0.0]:
                    wrong.append(verdicts)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong

    def test_closed(self):
        judge = Judge(1)
        pending = judge.submit([("def f(x):\n    while True: pass", SQUARES)], wall=1000.0, cpu=1000.0)
        judge.close()
        judge.close()
        for ask in (pending.result, lambda: judge.grade([("x", SQUARES)])):
            with pytest.raises(RuntimeError, match="closed"):
                ask()

    def test_pickled(self, judge):
        with pickle.loads(pickle.dumps(judge)) as copy:
            assert (copy.workers, copy.isolation, copy.output, copy.memory) == (2, "best", 1 << 20, 1 << 30)
            assert copy.grade([("def f(x): return x * x", SQUARES)], **PATIENT)[0].score == 1.0

    def test_making_one_starts_nothing(self):
        before = threading.active_count()
        judge = Judge()
        assert threading.active_count() == before
        assert judge.workers >= 2
        del judge

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"workers": 0}, "workers must be at least 1"),
            ({"memory": 1000}, "memory must be at least"),
            ({"output": 0}, "output must be at least"),
            ({"isolation": "docker"}, "isolation must be"),
            ({"min_tier": "Z"}, "min_tier must be"),
        ],
    )
    def test_bad_options(self, options, message):
        with pytest.raises(ValueError, match=message):
            Judge(**options)

    def test_bad_arguments(self, judge):
        with pytest.raises(ValueError, match="output must be at least 1 byte"):
            judge.grade([("x", SQUARES)], output=0)
        for limits in ({"wall": 2.0, "test_wall": 3.0}, {"cpu": 1.0, "test_cpu": 0.0}):
            with pytest.raises(ValueError, match=r"test_\w+=\S+ must be positive seconds, at most those of all tests"):
                judge.grade([("x", SQUARES)], **limits)
        for limits in ({"wall": 0}, {"cpu": -1}, {"wall": math.inf}, {"cpu": math.nan}):
            with pytest.raises(ValueError, match="must be a positive number of seconds"):
                judge.grade([("x", SQUARES)], **limits)
        for pair in ((b"x", SQUARES), ("x", "assert f(1)"), (SQUARES, "x")):
            with pytest.raises(TypeError, match=r"a program must be a pair"):
                judge.grade([pair])

    def test_unsafe_is_said(self):
        with pytest.warns(RuntimeWarning, match="programs that you trust"):
            judge = Judge(1, isolation="process-only-unsafe")
        with judge:
            assert judge.tier == "none"
            assert reasons(judge, "def f(x): return x * x", SQUARES) == ["passed"] * 3
            suite = asserts("f", ["assert f(2) == 4"])
            assert reasons(judge, "def f(x): return x * x", suite) == ["passed"]
            assert reasons(judge, "print(input())", stdio("x", "x")) == ["passed"]
