"""Test modules for unittest and pytest as suites: which tests there are, what they score, and what is refused."""

from __future__ import annotations

import math
import textwrap

import pytest

from textmdp.envs.judge import Judge, unittests
from textmdp.envs.judge.inside import pytest as stand_in

PATIENT = {"wall": 60.0, "cpu": 30.0}

UNITTEST = """
import unittest
from solution import add, halve

class Shared(unittest.TestCase):
    @classmethod
    def setUpClass(cls): cls.one = 1
    def setUp(self): self.two = 2
    def test_sum(self): self.assertEqual(add(self.one, self.two), 3)

class Halves(Shared):
    def test_half(self):
        for number in (2, 4):
            with self.subTest(number=number):
                self.assertEqual(halve(number), number / 2)
    def test_nothing(self):
        with self.assertRaisesRegex(TypeError, "unsupported"):
            halve(None)
        self.assertRaises(TypeError, halve, "a")
    def test_almost(self): self.assertAlmostEqual(halve(1), 0.5)

if __name__ == "__main__":
    unittest.main()
"""

PYTEST = """
import pytest
import solution

CASES = [(1, 2, 3), pytest.param(0, 0, 0, id="zeros")]

@pytest.fixture
def one():
    return 1

@pytest.fixture(scope="module")
def ending(one):
    yield one + 1

@pytest.mark.parametrize("x, y, total", CASES)
def test_sum(x, y, total):
    assert solution.add(x, y) == total

@pytest.mark.slow
@pytest.mark.parametrize("x", [2, 4, 6])
@pytest.mark.parametrize(("y",), [(1,), (2,)])
def test_both(x, y, one, ending):
    assert ending == 2
    assert solution.halve(x * y) == pytest.approx(x * y / 2, abs=1e-3)

class TestErrors:
    def setup_method(self):
        self.wrong = None
    def test_error(self):
        with pytest.raises(TypeError, match="unsupported") as info:
            solution.halve(self.wrong)
        assert info.type is TypeError and "operand" in str(info.value)
"""

RIGHT = "def add(x, y): return x + y\ndef halve(x): return x / 2"


@pytest.fixture(scope="module")
def judge():
    with Judge(2) as judge:
        yield judge


@pytest.fixture(scope="module", params=["A", "B", "C"])
def tiered(request):
    with Judge(1, isolation=request.param) as judge:
        try:
            assert judge.tier == request.param
        except RuntimeError as error:
            pytest.skip(str(error))
        yield judge


def reasons(judge, program, suite):
    [verdict] = judge.grade([(program, suite)], **PATIENT)
    return [test.reason for test in verdict.tests]


@pytest.mark.parametrize(("source", "count"), [(UNITTEST, 5), (PYTEST, 9)])
def test_each_test_counts(tiered, source, count):
    suite = unittests(["add", "halve"], source)
    assert len(suite) == count
    assert reasons(tiered, RIGHT, suite) == ["passed"] * count


def test_wrong_programs_lose_the_tests_that_notice(judge):
    wrong = "def add(x, y): return x + y\ndef halve(x): return x // 2"
    assert reasons(judge, wrong, unittests(["add", "halve"], UNITTEST)) == ["passed"] * 4 + ["wrong"]
    constant = "def add(x, y): return 3\ndef halve(x): return 1.0"
    assert reasons(judge, constant, unittests(["add", "halve"], PYTEST)) == [
        *["passed", "wrong"],
        *["passed", "wrong", "wrong", "wrong", "wrong", "wrong"],
        "wrong",
    ]
    nothing = "def add(x, y): pass\ndef halve(x): pass"
    assert not any(reason == "passed" for reason in reasons(judge, nothing, unittests(["add", "halve"], UNITTEST)))


def test_one_missing_function_costs_its_tests(judge):
    found = reasons(judge, "def add(x, y): return x + y", unittests(["add", "halve"], UNITTEST))
    assert found[0] == found[1] == "passed"
    assert found[2] == found[4] == "error: NameError: name 'halve' is not defined"


def test_the_program_has_no_way_to_the_tests(judge):
    peek = """
import sys
def add(x, y):
    names = [name for name in sys.modules if name in ("pytest", "tests", "unittest.case")]
    return 3 if not names and "assert" not in str(sys._getframe(1).f_locals) else names
"""
    suite = unittests("add", "from solution import add\ndef test(): assert add(1, 2) == 3")
    assert reasons(judge, peek, suite) == ["passed"]


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ("def test(tmp): assert f() == 1", "error: LookupError: the fixture 'tmp' is not defined in the tests"),
        ("def test(): return f() == 1\ndef never(): assert 0", "wrong"),
        ("def test():\n    pytest.skip('later')\n    assert 0", "error: AttributeError: pytest.skip is not supported"),
        ("def test(): pytest.fail('no')", "wrong"),
        ("def test():\n    with pytest.raises(ValueError): f()", "wrong"),
        ("def test():\n    with pytest.raises(BaseException, match='x'): f()", "wrong"),
        ("def test(): pytest.raises(ZeroDivisionError, lambda: f() / 0)", "passed"),
        ("import unittest\nclass A(unittest.TestCase):\n  def test(self): self.skipTest('')\n  x = lambda s: s.fail()",
         "error: SkipTest"),
    ],
)  # fmt: skip
def test_what_a_test_may_do(judge, test, reason):
    [found] = reasons(judge, "def f(): return 1", unittests("f", f"import pytest\nfrom solution import f\n{test}"))
    assert found.startswith(reason)


def test_lost_programs_pass_nothing(judge):
    exits = "import os\ndef f(): os._exit(0)"
    for body in ("pytest.raises(BaseException, f)", "self.assertRaises(BaseException, f)"):
        source = textwrap.dedent(f"""
            import pytest, unittest
            from solution import f
            class A(unittest.TestCase):
                def test(self): {body}
        """)
        assert reasons(judge, exits, unittests("f", source)) == ["killed"]


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("def helper(): assert f()", "holds no test"),
        ("def test(): f()", "asserts nothing"),
        ("def test( assert", "the test module, line 1: not Python"),
        ("def test(tmp_path): assert f()", "fixture 'tmp_path' of pytest's own"),
        ("async def test(): assert f()", "a coroutine or a generator"),
        ("def test():\n    yield\n    assert f()", "a coroutine or a generator"),
        ("@pytest.mark.skip\ndef test(): assert f()", "decorated with skip"),
        ("@pytest.mark.xfail(reason='')\ndef test(): assert f()", "decorated with xfail"),
        ("class A(TestCase):\n  @unittest.expectedFailure\n  def test(self): assert f()", "expectedFailure"),
        ("@pytest.mark.parametrize('x', range(3))\ndef test(x): assert f()", "a list that is written out"),
        ("@pytest.mark.parametrize('x', [*A])\ndef test(x): assert f()", "a list that is written out"),
        ("@pytest.mark.parametrize('x', [])\ndef test(x): assert f()", "an empty list"),
        ("def test(): assert eval(f())", "uses eval"),
    ],
)
def test_what_is_refused(source, rule):
    with pytest.raises(ValueError, match=rule):
        unittests("f", source)


def test_entries_and_modules_are_names():
    with pytest.raises(ValueError, match="name of a function"):
        unittests(["f", "a.b"], "def test(): assert f()")
    with pytest.raises(ValueError, match="at least one function"):
        unittests([], "def test(): assert f()")
    with pytest.raises(ValueError, match="name of a function"):
        unittests("f", "def test(): assert f()", module="os.path")


@pytest.mark.parametrize("rel", [None, 1e-3])
@pytest.mark.parametrize("absolute", [None, 1e-2])
@pytest.mark.parametrize("nan_ok", [False, True])
def test_approx_is_pytests(rel, absolute, nan_ok):
    values = [0, 1, 1.0, 1 + 5e-7, 1.0005, 1.005, -1.0, 1e-13, 1e300, math.inf, -math.inf, math.nan, 1j, True]
    values += [[1.0, 1.0000001], (1.0, 2), {"a": 1.0}, {"a": 1.0000001}, [1.0]]
    for expected in values:
        for actual in values:
            options = {"rel": rel, "abs": absolute, "nan_ok": nan_ok}
            theirs = actual == pytest.approx(expected, **options)
            assert (actual == stand_in.approx(expected, **options)) == theirs, (actual, expected)
    with pytest.raises(TypeError, match="nested"):
        stand_in.approx([[1.0]])
