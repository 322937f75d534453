"""Third-party modules: who has them, what numpy's values are compared as, and that nothing else gets within reach."""

from __future__ import annotations

import importlib
import json
import sys

import pytest

from textmdp.envs.judge import Judge, asserts, calls, stdio
from textmdp.envs.judge.modules import located

PATIENT = {"wall": 60.0, "cpu": 30.0}


@pytest.fixture(scope="module", params=["A", "B", "C"])
def tiered(request):
    with Judge(1, isolation=request.param, modules=("numpy",)) as judge:
        try:
            assert judge.tier == request.param
        except RuntimeError as error:
            pytest.skip(str(error))
        yield judge


def reasons(judge, program, suite):
    [verdict] = judge.grade([(program, suite)], **PATIENT)
    return [test.reason for test in verdict.tests]


def test_programs_and_tests_have_it(tiered):
    suite = calls("f", [((4,), {}), ((9,), {})], expected=[[0, 1, 3, 6], 9])
    program = "import numpy as np\ndef f(x): return np.cumsum(np.arange(x)) if x < 9 else np.int64(x)"
    assert reasons(tiered, program, suite) == ["passed"] * 2
    program = "import numpy.linalg\ndef f(): return numpy.linalg.det([[1, 2], [3, 4]])"
    tests = ["import numpy as np\nnp.testing.assert_allclose(f(), -2)", "import numpy as np\nassert np.isclose(f(), 2)"]
    assert reasons(tiered, program, asserts("f", tests)) == ["passed", "wrong"]
    program = "import numpy as np\nprint(np.fft.fft(np.array(input().split(), dtype=float)).real.sum())"
    assert reasons(tiered, program, stdio("1 2 3", "3.0", tolerance=1e-9)) == ["passed"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("np.bool_(True)", True),
        ("np.float32(0.5)", 0.5),
        ("(np.int8(1), {np.int64(2): np.array([[1.5], [2.5]])})", (1, {2: [[1.5], [2.5]]})),
        ("np.array(3)", 3),
        ("np.array(['a', 'b'])", ["a", "b"]),
        ("np.complex128(1j)", 1j),
        ("list(np.arange(3))", [0, 1, 2]),
        ("np.random.RandomState(0).randint(0, 9, 3) * 0", [0, 0, 0]),
    ],
)
def test_values_of_numpy(tiered, value, expected):
    assert reasons(tiered, f"import numpy as np\ndef f(): return {value}", calls("f", [((), {})], [expected])) == [
        "passed"
    ]


def test_what_is_no_plain_number_equals_nothing(tiered):
    for value in ("np.longdouble(1)", "np.array([object()])", "np.nan", "np.array([np.nan])", "np"):
        program = f"import numpy as np\ndef f(): return {value}"
        assert reasons(tiered, program, calls("f", [((), {})], [[float("nan")]])) == ["wrong"]


def test_random_numbers_repeat(tiered):
    program = "import numpy as np\ndef f(): return float(np.random.rand())"
    values = [reasons(tiered, program, asserts("f", [f"assert f() == {v}"])) for v in (0.5488135039273248, 0.5)]
    assert values == [["passed"], ["wrong"]]


def test_its_files_are_out_of_reach(tiered):
    program = f"""
import numpy, os
def f():
    for act in (lambda: open(numpy.__file__), lambda: os.listdir(os.path.dirname(numpy.__file__)), lambda: os.fork(),
                lambda: numpy.save({"/tmp/../etc/x"!r}, numpy.zeros(1)), lambda: numpy.fromfile("/etc/passwd")):
        try:
            return act() and False
        except OSError:
            pass
    return threading_count() == 1
def threading_count():
    import threading
    return threading.active_count()
"""
    assert reasons(tiered, program, calls("f", [((), {})], [True])) == ["passed"]


def test_whoever_does_not_name_it_has_none(tiered):
    program = "import sys\ndef f(): return sorted(m for m in sys.modules if m.startswith('nu' + 'mpy'))"
    assert reasons(tiered, program, calls("f", [((), {})], [[]])) == ["passed"]


def test_without_modules_there_are_none():
    with Judge(1) as judge:
        [reason] = reasons(judge, "import numpy\ndef f(): return 1", calls("f", [((), {})], [1]))
    assert reason == "error: ModuleNotFoundError: No module named 'numpy'"


@pytest.mark.parametrize(
    ("modules", "kind", "rule"),
    [
        ("numpy", TypeError, r'such as \("numpy",\), not one string'),
        (["no_such_module_of_anybody"], ModuleNotFoundError, "is not installed for .*: pip install no_such"),
        (["numpy; import os"], ValueError, "is no name of a module"),
        ([3], ValueError, "is no name of a module"),
        (["json"], ValueError, "is of the standard library"),
    ],
)
def test_what_is_refused(modules, kind, rule):
    with pytest.raises(kind, match=rule):
        Judge(modules=modules)


def test_what_cannot_be_imported_is_said(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    tmp_path.joinpath("broken_by_us.py").write_text("raise ImportError('no such part')")
    body = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"
    tmp_path.joinpath("threaded_by_us.py").write_text(body)
    for name, rule in (("broken_by_us", "no such part"), ("threaded_by_us", "have started 1 threads")):
        with Judge(1, modules=[name]) as judge, pytest.raises(RuntimeError, match=rule):
            judge.grade([(f"import {name}\ndef f(): return 1", calls("f", [((), {})], [1]))], **PATIENT)


def test_nothing_is_imported_here(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    tmp_path.joinpath("unseen_by_us.py").write_text("VALUE = 1")
    importlib.invalidate_caches()
    told = json.loads(located(["unseen_by_us"]))
    assert told == {"names": ["unseen_by_us"], "folders": [str(tmp_path.resolve())]}
    assert "unseen_by_us" not in sys.modules
