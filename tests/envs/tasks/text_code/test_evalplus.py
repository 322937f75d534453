"""EvalPlus's own files: results come from the canonical solutions, arguments get their types back, and all is kept."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from paths import SHARED

from textmdp.envs.data.dataset_rows import DataError
from textmdp.envs.judge import Judge, JudgeUnavailable
from textmdp.envs.judge.inside.wire import decode
from textmdp.envs.judge.suites import Asserts, Calls
from textmdp.envs.tasks.text_code.formats import cache, solutions
from textmdp.envs.tasks.text_code.formats.datasets import load_code_problems
from textmdp.envs.tasks.text_code.formats.evalplus import restored
from textmdp.envs.tasks.text_code.problem import CodeProblem, program_of

HUMANEVAL = SHARED / "data" / "humaneval" / "HumanEval.jsonl.gz"

PROMPT = '''def halves(xs):
    """Halve each.

    >>> halves([2])
    [1.0]
    """
'''
ROW = {
    "task_id": "HumanEval/1000",
    "prompt": PROMPT,
    "entry_point": "halves",
    "canonical_solution": "    print('noise')\n    return [x / 2 for x in xs]\n",
    "base_input": [[[2]], [[1, 3]]],
    "plus_input": [[[]], [[5, 7.5]], [[float("inf")]]],
    "atol": 0,
    "contract": "\n    assert all(xs)\n",
}
MBPP_ROW = {
    "task_id": "Mbpp/2",
    "prompt": '"""\nWrite a function to find what both have.\nassert similar_elements((1, 2), (2, 3)) == (2,)\n"""\n',
    "entry_point": "similar_elements",
    "canonical_solution": "\ndef similar_elements(a, b):\n    return tuple(set(a) & set(b))\n",
    "base_input": [[[1, 2], [2, 3]], [[1], [1]]],
    "plus_input": [[[1, 2, 3], [3, 2, 1]], [[], []]],
    "atol": 0,
    "contract": "",
    "assertion": "assert similar_elements((1, 2), (2, 3)) == (2,)",
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


def test_a_row_of_humaneval_plus(tmp_path, judge):
    problem = load(tmp_path, ROW)
    assert (problem.prompt, problem.stub, problem.entry) == (PROMPT, PROMPT, "halves")
    assert isinstance(problem.hidden, Asserts)  # floats: compared as numpy's assert_allclose does
    assert len(problem.hidden) == 4
    assert problem.visible is not None
    found = scores(
        judge,
        problem,
        problem.solution,
        "    return [x / 2 + 1e-9 for x in xs]",
        "    return [x / 2 + 1e-3 for x in xs]",
        "    return None",
        "    return [float('nan')] * len(xs)",
    )
    assert found == [1.0, 1.0, 0.5, 0.0, 0.25]  # [] and [inf] have no digits to be wrong


def test_whole_numbers_are_calls(tmp_path, judge):
    problem = load(tmp_path, ROW, canonical_solution="    return [x // 2 for x in xs]\n", plus_input=[[[4, 5]]])
    assert isinstance(problem.hidden, Calls)
    assert [decode(line) for line in problem.hidden.expected] == [[0, 1], [2, 2]]
    assert scores(judge, problem, problem.solution, "    return xs") == [1.0, 0.0]


def test_a_tolerance(tmp_path, judge):
    problem = load(tmp_path, ROW, atol=0.01, plus_input=[])
    assert scores(judge, problem, "    return [x / 2 + 1e-3 for x in xs]", "    return [x for x in xs]") == [1.0, 0.0]


def test_a_row_of_mbpp_plus(tmp_path, judge):
    problem = load(tmp_path, MBPP_ROW)
    assert (problem.prompt, problem.stub) == (MBPP_ROW["prompt"], "")
    assert problem.visible is not None
    assert "inp, exp = ([(1, 2), (2, 3)], (2,))" in problem.visible.tests[0]
    right = "def similar_elements(a, b):\n    assert type(a) is tuple\n    return [x for x in reversed(a) if x in b]"
    wrong = "def similar_elements(a, b): return a"
    assert scores(judge, problem, problem.solution, right, wrong) == [1.0, 1.0, 1.0]
    assert scores(judge, problem, "def similar_elements(a, b): return ()", "def similar_elements(a, b): 0") == [
        1 / 3,
        0,
    ]


@pytest.mark.parametrize(
    ("entry", "solution", "inputs", "right", "wrong"),
    [
        ("find_zero", "return -xs[0] / xs[1]", [[[1, 2]], [[3, 6.0]]], "return -xs[0] / xs[1] + 1e-9", "return 0"),
        (
            "check_str",
            "import re; return re.match('a', xs)",
            [["ab"], ["b"], ["ac"]],
            "return xs.startswith('a')",
            "return True",
        ),
        ("digit_distance_nums", "return abs(xs - y)", [[1, 3], [20, 14]], "return 2 if xs == 1 else 5", "return 0"),
        ("surface_Area", "return xs * y", [[3, 4], [1, 2]], "return [35, 5][xs == 1]", "return 1"),
    ],
)
def test_comparisons_of_their_own(tmp_path, judge, entry, solution, inputs, right, wrong):
    given = "xs, y=0"
    prompt = f'def {entry}({given}):\n    """Do."""\n' if entry == "find_zero" else '"""Do."""\n'
    name = "HumanEval/32" if entry == "find_zero" else "Mbpp/1000"
    whole = "{}" if entry == "find_zero" else f"def {entry}({given}):\n{{}}"
    row = {**ROW, "task_id": name, "prompt": prompt, "entry_point": entry, "base_input": inputs, "plus_input": []}
    problem = load(tmp_path, row, canonical_solution=whole.format(f"    {solution}\n"), atol=1e-4)
    found = scores(judge, problem, problem.solution, whole.format(f"    {right}"), whole.format(f"    {wrong}"))
    assert found[:2] == [1.0, 1.0]
    assert found[2] < 1.0


@pytest.mark.parametrize(
    ("number", "given", "expected"),
    [
        (-1, [[1]], [[1]]),
        (2, [[1], [2]], [(1,), (2,)]),
        (63, [[[1], [2]]], [[(1,), (2,)]]),
        (75, [[[1]], 2], [[(1,)], 2]),
        (106, [[1], [2]], [[1], (2,)]),
        (115, [[[1], []]], [[{1}, {}]]),
        (124, ["1.5", "2j"], [1.5, 2j]),
        (252, ["1+2j"], [1 + 2j]),
        (250, [[1], 1], [(1,), 1]),
        (259, [[[1], [2]]], [((1,), (2,))]),
        (278, [[1, [2]]], [(1, (2,))]),
        (307, [[1], 2, 3], [(1,), 2, 3]),
        (722, [{"a": [1]}, 2], [{"a": (1,)}, 2]),
        (580, [[1, [2, [3]]]], [(1, (2, (3,)))]),
    ],
)
def test_types_that_json_lacks(number, given, expected):
    assert repr(restored(number, given)) == repr(expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"canonical_solution": "    return xs[9]\n"}, "field 'canonical_solution': it failed .* IndexError"),
        ({"canonical_solution": "    return object()\n"}, "field 'base_input': .* not plain data"),
        ({"canonical_solution": "    import sys; sys.exit()\n"}, "5 inputs, but it returned 0 results"),
        ({"base_input": [3]}, "field 'base_input': a list of lists of arguments is expected, not a number"),
        ({"base_input": [], "plus_input": []}, "the lists of inputs are empty"),
        ({"atol": "x"}, "field 'atol': a number is expected, not text"),
        ({"task_id": "Mbpp/x"}, "field 'base_input': not the arguments of Mbpp/x"),
    ],
)
def test_rows_that_cannot_be_read(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        load(tmp_path, ROW, **changes)


# The cache


@pytest.fixture
def _always_worth_it(monkeypatch):
    monkeypatch.setattr(cache, "WORTH", 0.0)


def _folder():
    return Path(os.environ["XDG_CACHE_HOME"]) / "textmdp" / "problems"


@pytest.mark.usefixtures("_always_worth_it")
def test_what_was_made_is_kept(tmp_path, monkeypatch, capsys):
    path = write(tmp_path / "rows.jsonl", ROW, MBPP_ROW)
    made = load_code_problems(path)
    said = capsys.readouterr().err
    [file] = _folder().iterdir()
    assert "rows.jsonl: 2 problems made of their rows, in " in said
    assert str(file) in said

    def refuse(*_):
        raise AssertionError("run again")

    monkeypatch.setattr(solutions.Solutions, "run", refuse)
    assert load_code_problems(path) == made
    changed = {**ROW, "base_input": [[[9]]]}
    with pytest.raises(AssertionError, match="run again"):
        load_code_problems(write(tmp_path / "rows.jsonl", changed, MBPP_ROW))


@pytest.mark.usefixtures("_always_worth_it")
@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "other"])
def test_a_damaged_file_counts_for_nothing(tmp_path, damage):
    path = write(tmp_path / "rows.jsonl", ROW)
    made = load_code_problems(path)
    [file] = _folder().iterdir()
    whole = file.read_bytes()
    content = gzip.decompress(whole)
    file.write_bytes(
        {
            "cut": whole[:-20],
            "changed": gzip.compress(content.replace(b"halves", b"Halves")),
            "empty": b"",
            "other": gzip.compress(b"[]"),
        }[damage]
    )
    assert load_code_problems(path) == made
    assert gzip.decompress(file.read_bytes()) == content


def test_short_work_is_not_kept_and_not_told(tmp_path, capsys):
    row = {"text": "Add.", "code": "", "task_id": 1, "test_list": ["assert f(1) == 2", "assert f(2) == 3"]}
    load_code_problems(write(tmp_path / "rows.jsonl", row))
    assert capsys.readouterr().err == ""
    assert not list(_folder().iterdir())


@pytest.mark.usefixtures("_always_worth_it")
def test_without_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    assert load(tmp_path, MBPP_ROW).entry == "similar_elements"


@pytest.mark.skipif(not HUMANEVAL.is_file(), reason=f"HumanEval is not at {HUMANEVAL}")
def test_humaneval_in_evalplus_form(tmp_path, judge):
    """The inputs of HumanEval's own tests as EvalPlus writes them: all solutions pass, and nothing earns nothing."""
    rows = [json.loads(line) for line in gzip.decompress(HUMANEVAL.read_bytes()).splitlines()]
    kept = []
    for row, problem in zip(rows, load_code_problems(HUMANEVAL), strict=True):
        if isinstance(problem.hidden, Calls):
            inputs = [list(decode(line)[0]) for line in problem.hidden.inputs]
            kept.append({**row, "base_input": json.loads(json.dumps(inputs)), "plus_input": [], "atol": 0, "test": ""})
    problems = load_code_problems(write(tmp_path / "HumanEvalPlus.jsonl", *kept))
    assert len(problems) >= 140
    pairs = [(program_of(p, r), p.hidden) for p in problems for r in (p.solution, "    return None\n")]
    found = judge.grade(pairs, wall=60.0, cpu=30.0)
    wrong = [(p.entry, verdict.tests) for p, verdict in zip(problems, found[::2], strict=True) if verdict.score < 1]
    assert not wrong
    assert max(verdict.score for verdict in found[1::2]) < 1.0
