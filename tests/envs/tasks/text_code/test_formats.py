"""Programming problems from data sets: which suites are made of them, what is refused, and that solutions pass."""

from __future__ import annotations

import gzip
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from paths import SHARED

from textmdp.envs.data.dataset_rows import DataError
from textmdp.envs.judge import Judge, JudgeUnavailable, asserts, calls, stdio
from textmdp.envs.judge.inside.wire import decode
from textmdp.envs.judge.suites import Asserts, Calls
from textmdp.envs.tasks.text_code.formats import plus
from textmdp.envs.tasks.text_code.formats.datasets import load_code_problems
from textmdp.envs.tasks.text_code.problem import CodeProblem, program_of

DATA = SHARED / "data"
HUMANEVAL, MBPP, SANITIZED = (
    DATA / "humaneval" / "HumanEval.jsonl.gz", DATA / "mbpp" / "mbpp.jsonl", DATA / "mbpp" / "sanitized-mbpp.json"
)  # fmt: skip
needs_humaneval = pytest.mark.skipif(not HUMANEVAL.is_file(), reason=f"HumanEval is not at {HUMANEVAL}")
needs_mbpp = pytest.mark.skipif(not MBPP.is_file(), reason=f"MBPP is not at {MBPP}")

PROMPT = '''from math import pi


def twice(x):
    return 2 * x


def area(r):
    """The area of a circle.

    >>> area(1) > 3
    True
    >>> area(0)
    0
    """
'''
CHECK = """
METADATA = {'author': 'x'}


def check(candidate):
    assert candidate(0) == 0, "wrong: " + str(candidate(0))
    assert candidate(2) == 12
    assert candidate(3) == 27, "This prints"
    assert True, "good for debugging"
"""
HUMANEVAL_ROW = {
    "task_id": "HumanEval/0",
    "prompt": PROMPT,
    "entry_point": "area",
    "canonical_solution": "    return 3 * r * r\n",
    "test": CHECK,
}
MBPP_ROW = {
    "text": "Write a function to add.",
    "code": "def add(x, y):\r\n    return x + y\r\n",
    "task_id": 600,
    "test_setup_code": "",
    "test_list": ["assert add(1, 2) == 3", "assert add(0, 0) == 0", "assert add(2, 2) == 4"],
    "challenge_test_list": [],
}
APPS_ROW = {
    "question": "Add two numbers.\n\n-----Examples-----\nInput\n1 2\n\nOutput\n3\n",
    "input_output": json.dumps({"inputs": ["1 2\n", "3 4\n"], "outputs": ["3\n", "7\n"]}),
    "solutions": json.dumps(["print(sum(map(int, input().split())))\r\n"]),
    "starter_code": "",
}


@pytest.fixture(scope="module")
def judge():
    with Judge(workers=2) as judge:
        try:
            assert judge.tier
        except JudgeUnavailable as error:
            pytest.skip(f"no judge on this machine: {error}")
        yield judge


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def load(tmp_path: Path, row: dict[str, object], **changes: object) -> CodeProblem:
    row = {name: value for name, value in {**row, **changes}.items() if value is not ...}
    [problem] = load_code_problems(write(tmp_path / "rows.jsonl", row))
    return problem


def scores(judge: Judge, problem: CodeProblem, *responses: str) -> list[float]:
    return [v.score for v in judge.grade([(program_of(problem, response), problem.hidden) for response in responses])]


# Formats


def test_a_row_of_humaneval(tmp_path, judge):
    problem = load(tmp_path, HUMANEVAL_ROW)
    assert problem.prompt == problem.stub == PROMPT
    assert problem.preamble == "from math import pi\n\n\ndef twice(x):\n    return 2 * x\n\n\n"
    assert problem.entry == "area"
    assert problem.visible == asserts("area", ["assert area(0) == 0", "assert (area(1) > 3) == True"])
    assert problem.hidden == calls("area", [((2,), {}), ((3,), {})], [12, 27])
    assert scores(judge, problem, problem.solution, "    return None", "    return 12", "no") == [1, 0, 0.5, 0]


def test_what_the_prompt_shows_is_not_hidden(tmp_path):
    docstring = """Turn it.\n    f("ab") = "ba"\n    f( 'c' ) ==> 'c'\n    >>> f("d)")\n    ')d'\n    """
    prompt = f'def f(s):\n    """{docstring}"""\n'
    test = "def check(candidate):\n    assert candidate('ab') == 'ba'\n    assert candidate('c') == 'c'\n"
    problem = load(tmp_path, HUMANEVAL_ROW, prompt=prompt, entry_point="f", test=test)
    assert problem.visible == calls("f", [(("ab",), {}), (("c",), {}), (("d)",), {})], ["ba", "c", ")d"])
    assert problem.hidden == calls("f", [(("ab",), {}), (("c",), {})], ["ba", "c"])  # nothing else is left
    problem = load(
        tmp_path, HUMANEVAL_ROW, prompt=prompt, entry_point="f", test=test + "    assert candidate('') == ''\n"
    )
    assert problem.hidden == calls("f", [(("",), {})], [""])
    problem = load(tmp_path, HUMANEVAL_ROW, prompt="def f(s):\n    'Turn it.'\n", entry_point="f", test=test)
    assert problem.visible is None


def test_a_row_of_mbpp(tmp_path, judge):
    problem = load(tmp_path, MBPP_ROW)
    assert problem.prompt == ("Write a function to add.\nYour code should pass this test:\n\nassert add(1, 2) == 3\n")
    assert (problem.preamble, problem.stub, problem.entry, problem.epilogue) == ("", "", "add", "")
    assert problem.visible == calls("add", [((1, 2), {})], [3])
    assert problem.hidden == calls("add", [((0, 0), {}), ((2, 2), {})], [0, 4])
    assert problem.solution == "def add(x, y):\n    return x + y\n"
    assert scores(judge, problem, problem.solution, "def add(x, y): return 0") == [1, 0.5]


def test_the_sanitized_rows_and_their_imports(tmp_path, judge):
    problem = load(
        tmp_path, MBPP_ROW, text=..., prompt="Add.", test_imports=["import math"], test_setup_code=...,
        test_list=["assert math.isclose(add(1, 2), 3)", "assert add(1.5, 1) == 2.5\r\n", "assert add(2, 2) == 4"],
    )  # fmt: skip
    assert problem.prompt.endswith("\n\nimport math\nassert math.isclose(add(1, 2), 3)\n")
    assert problem.preamble == "import math"
    assert problem.visible == asserts("add", ["assert math.isclose(add(1, 2), 3)"], "import math")
    assert problem.hidden == calls("add", [((1.5, 1), {}), ((2, 2), {})], [2.5, 4])
    assert scores(judge, problem, problem.solution) == [1]


def test_challenges_are_hidden_and_repetitions_left_out(tmp_path):
    problem = load(tmp_path, MBPP_ROW, challenge_test_list=["assert add(1,2) == 3", "assert add(5, y=5) == 10"])
    assert problem.hidden == calls("add", [((0, 0), {}), ((2, 2), {}), ((5,), {"y": 5})], [0, 4, 10])


def test_the_assert_that_is_shown_leaves_others_that_tell_something(tmp_path):
    shown = []
    for values in ((True, False, False), (1, 1, 2), (0, 1, 2), (5, 1, 2), (3, 3, 3)):
        tests = [f"assert add({i}, 9) == {value}" for i, value in enumerate(values)]
        problem = load(tmp_path, MBPP_ROW, test_list=tests)
        assert len(problem.hidden) == 2
        shown.append(next(i for i, test in enumerate(tests) if problem.prompt.endswith(f"\n{test}\n")))
    assert shown == [1, 1, 0, 1, 0]


def test_classes_of_the_solution_are_made_by_the_program(tmp_path, judge):
    code = "class Node:\n    def __init__(self, x):\n        self.x = x\ndef value(node):\n    return node.x\n"
    problem = load(
        tmp_path, MBPP_ROW, code=code, test_setup_code="root = Node(3)\r\nother = Node(4)",
        test_list=["assert value(Node(2)) == 2", "assert (value(root)) == 3", "assert value(other) == 4"],
    )  # fmt: skip
    assert problem.entry == "value"
    assert problem.prompt.endswith("root = Node(3)\nother = Node(4)\nassert value(Node(2)) == 2\n")
    assert isinstance(problem.hidden, Calls)
    assert "root = Node(3)" in problem.epilogue
    assert not any(sign in problem.epilogue for sign in ("assert", "=="))
    assert scores(judge, problem, problem.solution, code.replace("node.x", "3"), "def value(node): return 3") == [
        1,
        0.5,
        0,
    ]


def test_types_and_functions_as_arguments_stay_in_the_program(tmp_path, judge):
    problem = load(
        tmp_path, MBPP_ROW, code="def kept(xs, kind):\n    return [x for x in xs if isinstance(x, kind)]",
        test_list=["assert kept([1, ''], int) == [1]", "assert kept([2], int) == [2]", "assert kept([], str) == []"],
    )  # fmt: skip
    assert scores(judge, problem, problem.solution, "def kept(xs, kind): return xs") == [1, 1]
    assert len(problem.hidden) == 2


def test_modules_that_asserts_name_are_imported(tmp_path, judge):
    tests = [f"assert add({i}, 0) == sys.intern('ab').count('a') + {i - 1}" for i in range(3)]
    problem = load(tmp_path, MBPP_ROW, test_list=tests)
    assert problem.hidden.setup == "import sys"
    assert scores(judge, problem, problem.solution) == [1]


STANDARD = """import numpy as np

def is_floats(x) -> bool:
    # check if it is float; List[float]; Tuple[float]
    if isinstance(x, float):
        return True
    if isinstance(x, (list, tuple)):
        return all(isinstance(i, float) for i in x)
    if isinstance(x, np.ndarray):
        return x.dtype == np.float64 or x.dtype == np.float32
    return False


def assertion(out, exp, atol):
    exact_match = out == exp

    if atol == 0 and is_floats(exp):
        atol = 1e-6
    if not exact_match and atol != 0:
        np.testing.assert_allclose(out, exp, atol=atol)
    else:
        assert exact_match

"""
IN_CHECK = """
def check(candidate):
    inputs = {}
    results = {}
    for i, (inp, exp) in enumerate(zip(inputs, results)):
        assertion(candidate(*inp), exp, 0)
"""


def test_a_row_of_humaneval_plus(tmp_path, judge):
    problem = load(tmp_path, HUMANEVAL_ROW, test=STANDARD + IN_CHECK.format([[0], [2], [10**20]], [0, 12, 3 * 10**40]))
    assert problem.visible == asserts("area", ["assert area(0) == 0", "assert (area(1) > 3) == True"])
    assert problem.hidden == calls("area", [((2,), {}), ((10**20,), {})], [12, 3 * 10**40])
    problem = load(tmp_path, HUMANEVAL_ROW, test=STANDARD + IN_CHECK.format([[0.5], [2.0], [3]], [0.75, 12.0, 27]))
    assert isinstance(problem.hidden, Asserts)
    close = "    return 3 * r * r + 1e-8"  # the last result is an int, and so exact
    assert scores(judge, problem, problem.solution, close, "    return None") == [1, pytest.approx(2 / 3), 0]


def test_a_row_of_humaneval_plus_with_a_reference(tmp_path, judge):
    test = (
        STANDARD + "def ref_func(r):\n    return [3 * r * r]\n\ndef check(candidate):\n    inputs = [[2], [5]]\n"
        "    for i, inp in enumerate(inputs):\n        assertion(candidate(*inp), ref_func(*inp), 0)\n"
    )
    problem = load(tmp_path, HUMANEVAL_ROW, test=test)
    assert scores(judge, problem, "    return [3 * r * r]", "    return [12]", "    return None") == [1, 0.5, 0]


def test_the_mistake_in_humaneval_plus_32(tmp_path, judge):
    prompt = 'import math\n\ndef find_zero(xs: list):\n    """A zero."""\n'
    test = (
        "import math\n\ndef _poly(xs: list, x: float):\n    return sum(c * x ** i for i, c in enumerate(xs))\n"
        "\ndef check(candidate):\n    inputs = [[[1, 2]], [[-6, 3]]]\n    results = [-0.5, 2.0]\n"
        "    for i, (inp, exp) in enumerate(zip(inputs, results)):\n"
        "        assert _poly(*candidate(*inp), inp) <= 0.0001\n"
    )
    problem = load(tmp_path, HUMANEVAL_ROW, prompt=prompt, entry_point="find_zero", test=test)
    assert scores(judge, problem, "    return -xs[0] / xs[1]", "    return -10", "    return 2") == [1, 0, 0.5]


def test_a_row_of_mbpp_plus(tmp_path, judge):
    loop = (
        "inputs = [[1, 2], [3, 4], [1.5, inf]]\nresults = [3, 7, inf]\n"
        "for i, (inp, exp) in enumerate(zip(inputs, results)):\n    assertion(add(*inp), exp, 0)\n"
    )
    problem = load(tmp_path, MBPP_ROW, prompt="Add.", text=..., test="from math import inf\n" + STANDARD + loop)
    assert problem.visible == calls("add", [((1, 2), {})], [3])
    assert len(problem.hidden) == 2
    assert scores(judge, problem, problem.solution, "def add(x, y): return 7") == [1, 0.5]


def test_the_stand_in_for_numpy():
    names: dict[str, type] = {}
    exec(plus._NUMPY, names)  # noqa: S102
    inf, nan = float("inf"), float("nan")
    values: list[object] = [0, 1, 1.0, 1 + 5e-7, 1 + 5e-6, 1e9, 1e9 + 50, 1e9 + 500, inf, -inf, nan, True]
    values += [[1.0], [1.0, 2.0], [2.0, 1.0], [1.0 + 5e-7, 2.0], [[1.0], [2.0]], (1.0, 2.0), [nan], [inf, 1.0]]
    for out in values:
        for exp in values:
            for atol in (1e-6, 1e-5):
                found = []
                for module in (np, names["np"]):
                    try:
                        module.testing.assert_allclose(out, exp, atol=atol)  # type: ignore[attr-defined]
                        found.append(True)
                    except (AssertionError, TypeError):
                        found.append(False)
                if np.shape(out) == np.shape(exp):  # numpy stretches others
                    assert found[0] == found[1], (out, exp, atol)
                else:
                    assert not found[1], (out, exp, atol)


def test_rows_of_apps(tmp_path, judge):
    problem = load(tmp_path, APPS_ROW)
    assert problem.prompt.endswith("Output\n3\n\nUse Standard Input format\n")
    assert (problem.entry, problem.stub) == ("", "")
    assert problem.visible == stdio(["1 2\n"], ["3\n"])
    assert problem.hidden == stdio(["3 4\n"], ["7\n"])
    assert scores(judge, problem, problem.solution, "print(3)") == [1, 0]
    lines = {"inputs": [["1 2", ""], ["3 4"]], "outputs": [["3"], "7"]}
    assert load(tmp_path, APPS_ROW, input_output=lines).hidden == stdio(["3 4"], ["7"])
    one = {"inputs": ["1 2"], "outputs": ["3"]}
    assert load(tmp_path, APPS_ROW, input_output=one, solutions="", starter_code=...).hidden == stdio(["1 2"], ["3"])


def test_functions_of_apps(tmp_path, judge):
    starter = "class Solution:\n    def pair(self, x: int) -> List[int]:\n        "
    cases = {"fn_name": "pair", "inputs": [[1], [2], [3]], "outputs": [[1, 1], [[2, 2]], [3, 3]]}
    problem = load(
        tmp_path,
        APPS_ROW,
        question="Pair it: pair(1) is [1, 1].",
        input_output=cases,
        starter_code=starter,
        solutions=None,
    )
    assert problem.solution == ""
    assert problem.prompt.endswith("-> List[int]:\n\nUse Call-Based format\n")
    assert len(problem.visible) == 1
    assert len(problem.hidden) == 2
    responses = [
        "        return [x, x]",
        "return (x, x)",
        "def pair(x): return [x, x]",
        starter + "return [3, 3]",
        "def pair(x): 0",
    ]
    assert scores(judge, problem, *responses) == [1, 1, 1, 0.5, 0]
    cases = {"fn_name": "twice", "inputs": [[1], ["a"]], "outputs": [2, "aa"]}
    assert load(tmp_path, APPS_ROW, input_output=cases).hidden == calls("twice", [((1,), {}), (("a",), {})], [2, "aa"])


# What is refused


@pytest.mark.parametrize(
    ("row", "changes", "message"),
    [
        (HUMANEVAL_ROW, {"prompt": 3}, "field 'prompt': text is expected, not a number"),
        (HUMANEVAL_ROW, {"prompt": "def f(:"}, "field 'prompt': not Python"),
        (HUMANEVAL_ROW, {"entry_point": "volume"}, "field 'prompt': no function 'volume' is defined"),
        (HUMANEVAL_ROW, {"entry_point": ""}, "field 'entry_point': the text is empty"),
        (HUMANEVAL_ROW, {"test": "x = 1"}, r"field 'test': no function check\(candidate\) is defined"),
        (HUMANEVAL_ROW, {"test": "def check(f):\n    f(1)"}, "field 'test': check asserts nothing"),
        (HUMANEVAL_ROW, {"test": "def check(f:"}, "field 'test': not Python: .* in line 1"),
        (HUMANEVAL_ROW, {"test": "def check(f):\n    assert eval(f(1)) == 2"}, "field 'test': .* uses eval"),
        (HUMANEVAL_ROW, {"test": STANDARD + IN_CHECK.format([[1]], [1, 2])}, "field 'test': 1 inputs, but 2 results"),
        (HUMANEVAL_ROW, {"test": STANDARD + IN_CHECK.format([[1]], "f(2)")}, "field 'test': no constant: f"),
        (HUMANEVAL_ROW, {"canonical_solution": []}, "field 'canonical_solution': text is expected, not a list"),
        (HUMANEVAL_ROW, {"test": ...}, "not those of HumanEval .* but 'task_id', 'prompt', 'entry_point'"),
        (MBPP_ROW, {"test_list": []}, "field 'test_list': the list is empty"),
        (MBPP_ROW, {"test_list": "assert add(1, 2) == 3"}, "field 'test_list': a list of texts is expected, not text"),
        (MBPP_ROW, {"test_list": ["assert x", 3]}, "field 'test_list': a list of texts is expected, not a number"),
        (MBPP_ROW, {"test_list": ["assert add(1"]}, "field 'test_list': not Python"),
        (MBPP_ROW, {"test_list": ["add(1, 2)"]}, "field 'test_list': the first assert asserts nothing"),
        (MBPP_ROW, {"test_list": ["assert 1 == 1"]}, "field 'test_list': the first assert calls no function"),
        (MBPP_ROW, {"test_list": ["assert add(len, 1) > 2"]}, "field 'test_list': only the solution can run"),
        (MBPP_ROW, {"test_setup_code": "x ="}, "field 'test_setup_code': not Python"),
        (MBPP_ROW, {"text": ..., "prompt": ...}, "the field 'prompt' is missing; the row has 'code'"),
        (MBPP_ROW, {"test": "x = 1"}, "field 'test': no lists 'inputs' and 'results'"),
        (APPS_ROW, {"input_output": "{"}, "field 'input_output': not JSON"),
        (APPS_ROW, {"input_output": "[]"}, "field 'input_output': the row holds no test; skip_untested=True"),
        (APPS_ROW, {"input_output": "[1]"}, "field 'input_output': an object is expected, not a list"),
        (APPS_ROW, {"input_output": {"inputs": ["1"], "outputs": []}}, "'inputs' and 'outputs' must be equally long"),
        (APPS_ROW, {"input_output": {"inputs": [3], "outputs": [3]}}, "must be texts or lists of texts"),
        (APPS_ROW, {"input_output": {"fn_name": "f", "inputs": [3], "outputs": [3]}}, "a list of arguments"),
        (APPS_ROW, {"input_output": {"fn_name": "a b", "inputs": [[3]], "outputs": [3]}}, "_output': entry must"),
        (APPS_ROW, {"solutions": "[3]"}, "field 'solutions': a list of texts is expected"),
        ({"question": "q", "answer": "#### 1"}, {}, r"or APPS \('question', 'input_output'\) but 'question', 'answer'"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_read(tmp_path, row, changes, message):
    row = {name: value for name, value in {**row, **changes}.items() if value is not ...}
    with pytest.raises(DataError, match=rf"rows\.jsonl, line 2.*{message}"):
        load_code_problems(write(tmp_path / "rows.jsonl", MBPP_ROW, row))


def test_rows_without_tests_are_left_out_on_demand(tmp_path):
    path = write(
        tmp_path / "rows.jsonl", {**APPS_ROW, "input_output": ""}, APPS_ROW, {**APPS_ROW, "input_output": "{}"}
    )
    assert len(load_code_problems(path, skip_untested=True)) == 1
    path = write(tmp_path / "rows.jsonl", {**APPS_ROW, "input_output": ""})
    with pytest.raises(ValueError, match="no row holds a test"):
        load_code_problems(path, skip_untested=True)


# Files, splits and the hub


def test_mbpp_is_split_by_its_ids(tmp_path):
    path = write(
        tmp_path / "rows.jsonl", *({**MBPP_ROW, "task_id": i, "text": f"Task {i}."} for i in (1, 11, 510, 511, 974))
    )
    assert [problem.prompt.split(".")[0] for problem in load_code_problems(path, "test")] == ["Task 11", "Task 510"]
    assert [problem.prompt[5:8] for problem in load_code_problems(path, "train")] == ["1.\n", "511", "974"]
    assert len(load_code_problems(path)) == 5


def test_other_files_are_split_by_content(tmp_path):
    changes = [{"task_id": f"HumanEval/{i}", "prompt": PROMPT.replace("circle", f"circle {i}")} for i in range(40)]
    rows = [{**HUMANEVAL_ROW, **change} for change in changes]
    path = write(tmp_path / "rows.jsonl", *rows)
    train, test = (load_code_problems(path, split) for split in ("train", "test"))
    assert sorted([*train, *test]) == sorted(load_code_problems(path, "all"))
    assert 2 <= len(test) <= 16


def test_arrays_and_compressed_files(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([MBPP_ROW, {**MBPP_ROW, "task_id": 601}]), "utf-8")
    assert len(load_code_problems(path)) == 2
    path = tmp_path / "test.json.gz"
    path.write_bytes(gzip.compress(json.dumps([MBPP_ROW]).encode()))
    assert len(load_code_problems(tmp_path, "test")) == 1


def test_hub_names(monkeypatch):
    def load_dataset(name: str, configuration: str | None, split: str) -> list[dict[str, object]]:
        assert (name, configuration, split) == ("evalplus/mbppplus", None, "test")
        return [MBPP_ROW]

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    assert len(load_code_problems("evalplus/mbppplus", "test")) == 1


# The data sets


def apart(problem: CodeProblem) -> bool:
    """Whether no test is visible and hidden."""
    visible, hidden = problem.visible, problem.hidden
    if visible is None:
        return True
    tests = [
        set(s.inputs if isinstance(s, Calls) else (t.splitlines()[-1] for t in s.tests)) for s in (visible, hidden)
    ]
    return not tests[0] & tests[1]


def passes(judge: Judge, problems: list[CodeProblem], responses: list[str], wall: float = 15.0) -> list[float]:
    pairs = zip(problems, responses, strict=True)
    return [v.score for v in judge.grade([(program_of(p, r), p.hidden) for p, r in pairs], wall=wall, cpu=10.0)]


@needs_humaneval
def test_humaneval(judge):
    problems = load_code_problems(HUMANEVAL)
    assert len(problems) == 164
    assert sum(isinstance(problem.hidden, Calls) for problem in problems) >= 140
    assert sum(problem.visible is not None for problem in problems) >= 125
    assert passes(judge, problems, [problem.solution for problem in problems], wall=6.0) == [1.0] * 164
    # A whole function in a fence passes too, also where it needs the prompt's imports and helpers.
    whole = [f"```python\n{(p.prompt + p.solution)[len(p.preamble) :]}```" for p in problems]
    assert passes(judge, problems, whole, wall=6.0) == [1.0] * 164
    # All visible tests are right, also those from docstrings with faulty examples.
    shown = [p._replace(hidden=p.visible) for p in problems if p.visible is not None]
    assert passes(judge, shown, [problem.solution for problem in shown]) == [1.0] * len(shown)
    # What is hidden is not in the prompt, but for the one problem whose prompt shows its only test.
    assert [problem.entry for problem in problems if not apart(problem)] == ["unique"]


@needs_humaneval
def test_stubs_and_constants_on_humaneval(judge):
    problems = load_code_problems(HUMANEVAL)
    assert passes(judge, problems, ["    return None\n"] * 164) == [0.0] * 164
    for body, most in (("True", 0), ("False", 2), ("list(locals().values())[0]", 0)):
        assert passes(judge, problems, [f"    return {body}\n"] * 164).count(1.0) <= most, body


@needs_mbpp
@pytest.mark.parametrize(("path", "count"), [(MBPP, 974), (SANITIZED, 427)], ids=["full", "sanitized"])
def test_mbpp(judge, path, count):
    problems = load_code_problems(path)
    assert len(problems) == count
    found = passes(judge, problems, [problem.solution for problem in problems])
    # Task 123 counts to 10,000 in quadratic time: 3.5 s alone, and more on a busy machine.
    assert {p.entry for p, score in zip(problems, found, strict=True) if score < 1} <= {"amicable_numbers_sum"}
    assert all(problem.visible is not None for problem in problems)
    assert [problem.entry for problem in problems if not apart(problem)] in (
        [],
        ["sort_mixed_list"],
    )  # one test, thrice


@needs_mbpp
@pytest.mark.parametrize(("path", "constants", "firsts"), [(MBPP, 12, 3), (SANITIZED, 4, 1)], ids=["full", "sanitized"])
def test_constants_on_mbpp(path, constants, firsts):
    """Where all asserts of a row ask for one value (8 rows), or repeat each other, a constant is all it takes."""
    suites = [p.hidden for p in load_code_problems(path) if isinstance(p.hidden, Calls)]
    pairs = [list(zip(map(decode, s.inputs), map(decode, s.expected), strict=True)) for s in suites]
    assert sum(all(value == tests[0][1] for _, value in tests) for tests in pairs) <= constants
    assert sum(all(args[:1] == (value,) for (args, _), value in tests) for tests in pairs) <= firsts


@needs_mbpp
def test_the_splits_of_mbpp():
    assert [len(load_code_problems(MBPP, split)) for split in ("train", "test")] == [474, 500]
