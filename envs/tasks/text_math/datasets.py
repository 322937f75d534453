r"""Problems from files and from the Hugging Face hub, with a question and an answer in each row.

Two formats are recognised:

- **GSM8K**: `question`, and `answer`, a worked solution whose last line is `#### 18`. Calculator notes `<<9*2=18>>`
  are removed.
- **MATH**: `problem`, and `solution` with the answer in its last `\boxed{...}`; a field `answer` takes precedence.

Other names are given as `question_field=` and `answer_field=`; that answer may be the bare answer, or a worked solution
with either of the two markers. Answers may be numbers. A list holds several right answers, of which any counts, and
the expert gives the first. No row is skipped: an unreadable one raises a `DataError` with file, line and field.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from os import PathLike
from typing import NamedTuple

from textmdp.envs.data.dataset_rows import DataError, Row, held_out, kind_of, load_rows, names_of

_NOTE = re.compile(r"<<[^<>\n]*>>")
#: Below this, every whole number is a float.
_WHOLE = 2**53
_BOX = re.compile(r"\\f?box(?:ed)?\s*\{")


class Problem(NamedTuple):
    """A question, its answer, and the response of an expert."""

    question: str
    """The question as the environment shows it."""
    answer: str
    """The reference answer."""
    solution: str
    """A worked solution that ends in the answer, or the answer alone."""
    alternatives: tuple[str, ...] = ()
    """Further right answers."""


def load_problems(
    dataset: str | PathLike[str],
    split: str | None = None,
    *,
    question_field: str | None = None,
    answer_field: str | None = None,
) -> list[Problem]:
    """Read the problems of a data set, in its order.

    Args:
        dataset: a file, a folder, or a name on the hub, see `textmdp.envs.data.dataset_rows.load_rows`.
        split: "train", "test", "all" or None, see there; a file is split by the content of its questions (one in
            five is held out for "test").
        question_field: the name of the field with the question; None for the names of GSM8K and MATH.
        answer_field: the name of the field with the answer; None for the same.

    Raises:
        DataError: a row cannot be read.
        FileNotFoundError: there is no such file.
        ValueError: there is no such split.
        ImportError: `dataset` is a name of the hub, and `datasets` is not installed.
    """
    return load_rows(
        dataset,
        split,
        lambda place, row: _problem(place, row, question_field, answer_field),
        lambda problem: held_out(" ".join(problem.question.split())),
    )


def _problem(place: str, row: Row, question_field: str | None, answer_field: str | None) -> Problem:
    """The problem of one row; `place` begins the message of an error."""
    asked = question_field or next((name for name in ("question", "problem") if name in row), None)
    if asked is None:
        raise DataError(
            f"{place}: there is no field 'question' (GSM8K) or 'problem' (MATH) but {names_of(row)}; "
            "name the fields with question_field= and answer_field="
        )
    question = _text(place, row, asked).strip() + "\n"
    if answer_field is not None:
        first, *others = _answers(place, row, answer_field)
        return Problem(question, *_answer_of(first), tuple(_answer_of(other)[0] for other in others))
    if asked == "problem" or row.get("solution") is not None:
        return _math(place, row, question)
    first, *others = _answers(place, row, "answer")
    solution = _NOTE.sub("", first).strip()
    answer = _after_hashes(solution)
    if answer is not None:
        return Problem(question, answer, solution, tuple(_after_hashes(other) or other.strip() for other in others))
    if not isinstance(row["answer"], str):  # a number or a list is no worked solution
        return Problem(question, *_answer_of(first), tuple(_answer_of(other)[0] for other in others))
    raise DataError(
        f"{place}, field 'answer': no final answer '#### ...' found; "
        'if the field is the bare answer, use answer_field="answer"'
    )


def _answers(place: str, row: Row, name: str) -> list[str]:
    """A field with an answer, or with a list of right answers, as texts."""
    value = row.get(name)
    if not isinstance(value, list):
        return [_text(place, row, name, numbers=True)]
    if not value:
        raise DataError(f"{place}, field {name!r}: the list holds no answer")
    return [
        _text(f"{place}, item {i} of {name!r}", {name: item}, name, numbers=True) for i, item in enumerate(value, 1)
    ]


def _text(place: str, row: Row, name: str, *, numbers: bool = False) -> str:
    """A field as text, numbers included if they are allowed."""
    if name not in row:
        raise DataError(
            f"{place}: the field {name!r} is missing; the row has {names_of(row)}; "
            "other names are given with question_field= and answer_field="
        )
    value = row[name]
    if numbers and isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        number = float(value)
        if not math.isfinite(number):
            raise DataError(f"{place}, field {name!r}: {value} is no answer; a finite number is expected")
        return str(int(value)) if number.is_integer() and abs(number) < _WHOLE else str(value)
    if not isinstance(value, str):
        raise DataError(f"{place}, field {name!r}: text is expected, not {kind_of(value)}")
    if not value.strip():
        raise DataError(f"{place}, field {name!r}: the text is empty")
    return value


def _after_hashes(text: str) -> str | None:
    """The answer after the last `####`, with thousands commas removed from numbers; None if there is none."""
    _, marker, answer = text.rpartition("####")
    answer = answer.strip().partition("\n")[0].strip()
    if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", answer):
        answer = answer.replace(",", "")
    return answer or None if marker else None


def _answer_of(text: str) -> tuple[str, str]:
    """The answer and a solution from a field with `####`, with a box, or with the bare answer."""
    text = _NOTE.sub("", text).strip()
    hashed = _after_hashes(text)
    if hashed is not None:
        return hashed, text
    boxed = last_boxed(text)
    if boxed is not None:
        return boxed, one_box(text, boxed)
    return text, f"#### {text}"


def _math(place: str, row: Row, question: str) -> Problem:
    """A row in the format of MATH."""
    answer, *others = (
        [text.strip() for text in _answers(place, row, "answer")] if row.get("answer") is not None else [None]
    )
    alternatives = tuple(other for other in others if other is not None)
    if answer is not None and row.get("solution") is None:
        return Problem(question, answer, rf"\boxed{{{answer}}}", alternatives)
    solution = _text(place, row, "solution").strip()
    boxed = last_boxed(solution)
    if answer is None and boxed is None:
        raise DataError(rf"{place}, field 'solution': no final answer \boxed{{...}} found")
    return Problem(question, answer or boxed or "", one_box(solution, answer or boxed or ""), alternatives)


def _boxes(text: str) -> list[tuple[int, int, str]]:
    r"""Start, end and content of each outermost `\boxed{...}`, with braces matched."""
    found: list[tuple[int, int, str]] = []
    for match in _BOX.finditer(text):
        if found and match.start() < found[-1][1]:
            continue
        depth, position = 1, match.end()
        for brace in re.finditer(r"\\.|[{}]", text[match.end() :], re.DOTALL):
            depth += {"{": 1, "}": -1}.get(brace[0], 0)
            if depth == 0:
                position = match.end() + brace.start()
                found.append((match.start(), position + 1, text[match.end() : position].strip()))
                break
    return found


def last_boxed(text: str) -> str | None:
    r"""The content of the last `\boxed{...}` (or `\boxed 5`), with braces matched; None if there is none.

    >>> last_boxed(r"first \boxed{1}, so $x = \boxed{\frac{1}{2}}$.")
    '\\frac{1}{2}'
    """
    found = _boxes(text)
    bare = re.findall(r"\\boxed\s+([^\s{}$]+?)[.,]?(?=[\s$]|\Z)", text)
    return found[-1][2] if found and found[-1][2] else (bare[-1] if bare else None)


def one_box(solution: str, answer: str) -> str:
    r"""The solution with its last box only, around the answer, since different boxes are no final answer.

    >>> one_box(r"We get \boxed{1} or \boxed{2}. So \boxed{2}.", "2")
    'We get 1 or 2. So \\boxed{2}.'
    """
    found = _boxes(solution)
    keep = found[-1] if found and found[-1][2] == answer.strip() else None
    for box in reversed(found):
        if box is not keep:
            solution = solution[: box[0]] + box[2] + solution[box[1] :]
    return solution if keep is not None else f"{solution}\n\\boxed{{{answer}}}"
