"""Data sets from files: what is read, what is refused and in which words, and which rows belong to a split."""

from __future__ import annotations

import gzip
import json
import math
import sys
import types
from pathlib import Path

import pytest
from paths import SHARED

from textmdp.envs.data.dataset_rows import DataError, held_out
from textmdp.envs.tasks.text_math.datasets import Problem, last_boxed, load_problems, one_box
from textmdp.envs.tasks.text_math.task import TextMath

GSM8K = SHARED / "data" / "gsm8k"
PAIRS = GSM8K.parent / "math_equivalence" / "pairs.jsonl"
needs_gsm8k = pytest.mark.skipif(not GSM8K.is_dir(), reason=f"GSM8K is not at {GSM8K}")

GSM_ROW = {"question": " How many? ", "answer": "9*2=<<9*2=18>>18\nSo 1,800.\n#### 1,800"}
MATH_ROW = {"problem": "Solve.", "solution": r"First \boxed{3}, then $\boxed{\frac{1}{\sqrt{2}}}$."}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def test_gsm8k_rows(tmp_path):
    assert load_problems(write(tmp_path / "a.jsonl", GSM_ROW)) == [
        Problem("How many?\n", "1800", "9*2=18\nSo 1,800.\n#### 1,800")
    ]


def test_math_rows(tmp_path):
    [problem] = load_problems(write(tmp_path / "a.jsonl", MATH_ROW))
    assert problem.answer == r"\frac{1}{\sqrt{2}}"
    assert problem.solution == r"First 3, then $\boxed{\frac{1}{\sqrt{2}}}$."


@pytest.mark.parametrize(
    ("row", "answer", "solution"),
    [
        ({"problem": "p", "answer": "5"}, "5", r"\boxed{5}"),
        ({"problem": "p", "answer": 25}, "25", r"\boxed{25}"),
        ({"problem": "p", "answer": 25.0}, "25", r"\boxed{25}"),
        ({"problem": "p", "answer": "5", "solution": None}, "5", r"\boxed{5}"),
        ({"question": "p", "answer": "#### 5", "solution": None}, "5", "#### 5"),
        ({"question": "p", "answer": 5}, "5", "#### 5"),
        ({"problem": "p", "solution": r"so \boxed{5}", "answer": "5"}, "5", r"so \boxed{5}"),
        ({"problem": "p", "solution": r"so \boxed{5.0}", "answer": "5"}, "5", "so 5.0\n\\boxed{5}"),
        ({"problem": "p", "solution": "so five", "answer": "5"}, "5", "so five\n\\boxed{5}"),
        ({"problem": "p", "solution": r"so $\boxed 5$."}, "5", "so $\\boxed 5$.\n\\boxed{5}"),
        ({"problem": "p", "solution": r"so $\fbox{5}$."}, "5", r"so $\fbox{5}$."),
        ({"problem": "p", "solution": r"so $\boxed{\{1, 2\}}$."}, r"\{1, 2\}", r"so $\boxed{\{1, 2\}}$."),
    ],
)
def test_shapes_of_math(tmp_path, row, answer, solution):
    assert load_problems(write(tmp_path / "a.jsonl", row)) == [Problem("p\n", answer, solution)]


@pytest.mark.parametrize(
    "row",
    [
        {"question": "q", "answer": ["1/3", "0.3"]},
        {"question": "q", "answer": ["so #### 1/3", "#### 0.3"]},
        {"problem": "q", "answer": ["1/3", 0.3], "solution": None},
        {"problem": "q", "answer": ["1/3", "0.3"], "solution": r"so \boxed{1/3}"},
    ],
)
def test_any_of_several_answers_is_right(tmp_path, row):
    task = TextMath(dataset=write(tmp_path / "a.jsonl", row), symbolic=False)
    state, _ = task.problem(0)
    assert (state.answer, state.alternatives) == ("1/3", ("0.3",))
    right = [task.reply(state, text, None).score.parts["correct"] for text in ("#### 1/3", "#### 0.3", "#### 0.5")]
    assert right == [1.0, 1.0, 0.0]
    assert task.reply(state, task.demonstrate(state, None), None).score.total == 1.0


@pytest.mark.parametrize(
    ("written", "answer", "solution"),
    [
        ("Paris", "Paris", "#### Paris"),
        (7, "7", "#### 7"),
        (0.5, "0.5", "#### 0.5"),
        ("1+1=<<1+1=2>>2 #### 2", "2", "1+1=2 #### 2"),
        (r"so \boxed{x}", "x", r"so \boxed{x}"),
    ],
)
def test_fields_by_name(tmp_path, written, answer, solution):
    path = write(tmp_path / "a.jsonl", {"ask": "q", "gold": written})
    assert load_problems(path, question_field="ask", answer_field="gold") == [Problem("q\n", answer, solution)]
    path = write(tmp_path / "b.jsonl", {"question": "q", "answer": written})
    assert load_problems(path, answer_field="answer") == [Problem("q\n", answer, solution)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"question": "q", "answer"', "line 2: not JSON"),
        ("[1]", "line 2: a JSON object with named fields is expected, not a list"),
        ("[" * 100_000, "line 2: not JSON"),
        ("3", "line 2: a JSON object with named fields is expected, not a number"),
        ({}, "line 2: there is no field 'question'"),
        (
            {"prompt": "q", "answer": "#### 1"},
            "there is no field 'question' .* but 'prompt', 'answer'; name the fields with",
        ),
        ({"question": "q"}, "line 2: the field 'answer' is missing; the row has 'question'"),
        ({"problem": "q"}, "line 2: the field 'solution' is missing"),
        ({"question": "", "answer": "#### 1"}, "line 2, field 'question': the text is empty"),
        ({"question": 3, "answer": "#### 1"}, "line 2, field 'question': text is expected, not a number"),
        ({"question": "q", "answer": None}, "line 2, field 'answer': text is expected, not null"),
        ({"question": "q", "answer": ["#### 1", None]}, "line 2, item 2 of 'answer'.*: text is expected, not null"),
        ({"question": "q", "answer": []}, "line 2, field 'answer': the list holds no answer"),
        ({"question": "q", "answer": math.inf}, "line 2, field 'answer': inf is no answer"),
        ({"question": "q \ud83d", "answer": "#### 1"}, "line 2, field 'question': .* half of a character"),
        (
            {"question": "q", "answer": "1"},
            "line 2, field 'answer': no final answer '#### ...' found; .* answer_field=",
        ),
        ({"question": "q", "answer": "so ####  \n"}, "line 2, field 'answer': no final answer"),
        ({"problem": "q", "solution": "so 5"}, r"line 2, field 'solution': no final answer \\boxed"),
        ({"problem": "q", "solution": r"so \boxed{5"}, r"line 2, field 'solution': no final answer \\boxed"),
        ({"problem": "q", "answer": True}, "line 2, field 'answer': text is expected, not a boolean"),
    ],
)
def test_rows_that_cannot_be_read(tmp_path, line, message):
    path = write(tmp_path / "broken.jsonl", GSM_ROW, line, GSM_ROW)
    with pytest.raises(DataError, match=rf"broken\.jsonl.*{message}"):
        load_problems(path)


def test_named_fields_that_are_missing(tmp_path):
    path = write(tmp_path / "a.jsonl", {"ask": "q", "gold": "1"})
    with pytest.raises(DataError, match="line 1: the field 'asks' is missing; the row has 'ask', 'gold'"):
        load_problems(path, question_field="asks", answer_field="gold")
    with pytest.raises(DataError, match="line 1: the field 'golds' is missing"):
        load_problems(path, question_field="ask", answer_field="golds")


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "latin.jsonl"
    path.write_bytes(json.dumps(GSM_ROW).encode() + b'\n{"question": "caf\xe9", "answer": "#### 1"}\n')
    with pytest.raises(DataError, match=r"latin\.jsonl, line 2: not UTF-8"):
        load_problems(path)


@pytest.mark.parametrize("content", ["", "\n  \n"])
def test_an_empty_file(tmp_path, content):
    path = tmp_path / "empty.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=r"empty\.jsonl: the file holds no row"):
        load_problems(path)


def test_byte_order_marks_and_blank_lines_are_no_rows(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GSM_ROW).encode() + b"\r\n\r\n" + json.dumps(GSM_ROW).encode())
    assert len(load_problems(path)) == 2


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_and_compressed_files(tmp_path, compressed):
    pack = gzip.compress if compressed else bytes
    suffix = ".gz" if compressed else ""
    array = tmp_path / f"a.json{suffix}"
    array.write_bytes(pack(b"\xef\xbb\xbf \n" + json.dumps([GSM_ROW, MATH_ROW], indent=1).encode()))
    lines = tmp_path / f"b.json{suffix}"
    lines.write_bytes(pack(f"{json.dumps(GSM_ROW)}\n{json.dumps(MATH_ROW)}\n".encode()))
    assert load_problems(array) == load_problems(lines)
    assert len(load_problems(array)) == 2
    array.write_bytes(pack(json.dumps([GSM_ROW, 3]).encode()))
    with pytest.raises(DataError, match="item 2: a JSON object with named fields is expected, not a number"):
        load_problems(array)
    array.write_bytes(pack(b"[{}"))
    with pytest.raises(DataError, match="not JSON"):
        load_problems(array)
    array.write_bytes(pack(b"[]"))
    with pytest.raises(DataError, match="holds no row"):
        load_problems(array)


# Named, because gzip writes the time into its header: tests that run in two processes must have the same names in both.
@pytest.mark.parametrize(
    "content",
    [b"{}", gzip.compress(json.dumps(GSM_ROW).encode())[:-12], gzip.compress(b"")[:5]],
    ids=["not-compressed", "cut-off", "half-a-header"],
)
def test_files_that_are_not_compressed_or_not_whole(tmp_path, content):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not whole, or not compressed by gzip"):
        load_problems(path)


def rows(count: int, start: int = 0) -> list[dict[str, str]]:
    return [{"question": f"q{i}", "answer": f"#### {i}"} for i in range(start, start + count)]


def answers(*args: object) -> list[int]:
    return [int(problem.answer) for problem in load_problems(*args)]


def test_a_folder_is_split_by_its_files(tmp_path):
    write(tmp_path / "train.jsonl", *rows(3))
    with pytest.raises(FileNotFoundError, match=r"has no test\.jsonl and .*, which split='test' needs"):
        load_problems(tmp_path, "test")
    write(tmp_path / "test.jsonl", *rows(2, 3))
    assert answers(tmp_path, None) == answers(str(tmp_path), "train") == [0, 1, 2]
    assert answers(tmp_path, "test") == [3, 4]
    assert answers(tmp_path, "all") == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("own", ["train", "test"])
def test_a_file_named_after_a_split_is_that_split(tmp_path, own):
    path = write(tmp_path / f"{own}_1.jsonl", *rows(3))
    assert answers(path, None) == answers(path, "all") == answers(path, own) == [0, 1, 2]
    other = "train" if own == "test" else "test"
    with pytest.raises(ValueError, match=f"split='{other}', but {own}_1.jsonl is the {own} split by its name: leave"):
        load_problems(path, other)


def test_any_other_file_is_split_by_content(tmp_path):
    path = write(tmp_path / "mine.jsonl", *rows(500))
    train, test = answers(path, "train"), answers(path, "test")
    assert answers(path, None) == answers(path, "all") == sorted(train + test) == list(range(500))
    assert train == sorted(train)
    assert test == sorted(test)
    assert 60 < len(test) < 140
    # A row stays on its side wherever it stands, and so does a copy of it.
    turned = write(tmp_path / "turned.jsonl", *rows(500)[::-1], *rows(500))
    assert set(answers(turned, "test")) == set(test)
    one = write(tmp_path / "one.jsonl", rows(1)[0])
    with pytest.raises(ValueError, match=r'no row left for split=.* use split="all"'):
        load_problems(one, "train" if held_out("q0") else "test")


def test_names_that_are_no_split(tmp_path):
    with pytest.raises(ValueError, match="split='dev' is none of 'train', 'test', 'all'"):
        load_problems(write(tmp_path / "a.jsonl", GSM_ROW), "dev")


@pytest.mark.parametrize("name", ["missing.jsonl", "./missing", "/no/such/file", Path("missing")])
def test_files_that_are_not_there(name):
    with pytest.raises(FileNotFoundError, match="there is no such file or folder"):
        load_problems(name)


def test_hub_names_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r'pip install "textmdp\[datasets\]"'):
        load_problems("openai/gsm8k")


def test_hub_names(monkeypatch):
    asked = []

    def load_dataset(name: str, configuration: str | None, split: str) -> list[dict[str, str]]:
        asked.append((name, configuration, split))
        if split == "test":
            raise ValueError('Unknown split "test"')
        return [*rows(2), *([{"question": "q"}] if name == "broken" else [])]

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    assert answers("openai/gsm8k:main", None) == [0, 1]
    assert answers("openai/gsm8k", "all") == [0, 1]
    assert asked == [("openai/gsm8k", "main", "train"), ("openai/gsm8k", None, "train+test")]
    with pytest.raises(ValueError, match="the hub gave no split 'test' of it"):
        load_problems("openai/gsm8k", "test")
    with pytest.raises(DataError, match=r"broken\[train\], row 2: the field 'answer' is missing"):
        load_problems("broken")


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (r"\boxed{1} and \boxed{2}", "2"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{a \boxed{b}}", r"a \boxed{b}"),
        (r"\boxed{\text{\}}}", r"\text{\}}"),
        (r"$\boxed 5$", "5"),
        (r"\boxed{1", None),
        (r"no box {1}", None),
        (r"\boxed{}", None),
    ],
)
def test_boxes_are_matched_by_their_braces(text, content):
    assert last_boxed(text) == content


def test_one_box_remains():
    assert one_box(r"\boxed{1} \boxed{2}", "3") == "1 2\n\\boxed{3}"


@needs_gsm8k
def test_gsm8k_loads_whole_and_in_order():
    train, test, both = (load_problems(GSM8K, split) for split in ("train", "test", "all"))
    assert (len(train), len(test)) == (7473, 1319)
    assert both == train + test
    assert test[0].question.startswith("Janet")
    assert test[0].answer == "18"
    assert all(problem.answer.removeprefix("-").isdigit() for problem in both)
    assert not any("<<" in problem.solution for problem in both)
    assert load_problems(GSM8K / "test.jsonl") == test


@pytest.mark.skipif(not PAIRS.is_file(), reason=f"the answer pairs are not at {PAIRS}")
def test_a_list_of_answers_holds_alternatives():
    problems = load_problems(PAIRS, question_field="id", answer_field="gold")
    assert (problems[175].answer, problems[175].alternatives) == ("0.5", ("1/2", "one half"))
