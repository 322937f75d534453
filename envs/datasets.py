r"""Problems from files and from the Hugging Face hub: JSON lines with a question and an answer in each row.

Two formats are recognised:

- **GSM8K**: `question`, and `answer`, a worked solution whose last line is `#### 18`. Calculator notes `<<9*2=18>>`
  are taken out.
- **MATH**: `problem`, and `solution` with the answer in its last `\boxed{...}`; the field `answer` counts where it is
  there.

Any other names are given as `question_field=` and `answer_field=`; that answer may be the bare answer, or a worked
solution with either of the two markers. No row is ever skipped: what cannot be read is a `DataError` with file, line
and field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

SPLITS = ("train", "test", "all")
#: One problem in so many is held out for the test split.
HELD_OUT = 5

Row = Mapping[str, Any]

_NOTE = re.compile(r"<<[^<>\n]*>>")
_BOX = re.compile(r"\\f?box(?:ed)?\s*\{")


class Problem(NamedTuple):
    """A question, its answer, and a response that an expert would give to it."""

    question: str
    """The text that is asked, as it is shown."""
    answer: str
    """The reference answer."""
    solution: str
    """A worked solution that ends in the answer; or the answer alone."""


def held_out(content: str) -> bool:
    """Whether a problem of this content belongs to the test split: one in five does, whatever its place or the seed."""
    return int.from_bytes(blake2b(content.encode(), digest_size=8).digest(), "little") % HELD_OUT == 0


class DataError(ValueError):
    """A row that cannot be read: the message names the file, the line, the field and, where there is one, the fix."""


def load_problems(
    dataset: str | PathLike[str],
    split: str | None = None,
    *,
    question_field: str | None = None,
    answer_field: str | None = None,
) -> list[Problem]:
    """Read a data set, in its order.

    Args:
        dataset: a `.jsonl` file; a folder with `train.jsonl` and `test.jsonl`; or a name on the Hugging Face hub,
            with a configuration behind a colon where the data set has several: `"openai/gsm8k:main"`.
        split: "train", "test" or "all". A folder and the hub have files for them (None is "train"; "all" is train,
            then test). A file called `train*` or `test*` is that split, and None or "all" gives all of it. Any other
            file is taken whole by None and "all", and is split by the content of its questions for "train" and
            "test" (one in five).
        question_field: the name of the field that is asked.
        answer_field: the name of the field with the answer.

    Raises:
        DataError: a row cannot be read.
        FileNotFoundError: there is no such file.
        ValueError: there is no such split.
        ImportError: a hub name, and `datasets` is not installed.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f"split={split!r} is none of {', '.join(map(repr, SPLITS))}")
    path = Path(dataset).expanduser()
    if path.is_dir():
        names = ("train", "test") if split == "all" else (split or "train",)
        rows = [row for name in names for row in _rows_of_file(_file_of(path, name))]
        return [_problem(place, row, question_field, answer_field) for place, row in rows]
    if path.is_file():
        return _from_file(path, split, question_field, answer_field)
    if not isinstance(dataset, str) or path.suffix in (".jsonl", ".json") or dataset.startswith((".", "/", "~")):
        raise FileNotFoundError(f"dataset={str(dataset)!r}: there is no such file or folder (from {Path.cwd()})")
    return [_problem(place, row, question_field, answer_field) for place, row in _rows_of_hub(dataset, split)]


def _file_of(folder: Path, split: str) -> Path:
    """The file of a split in a folder."""
    path = folder / f"{split}.jsonl"
    if not path.is_file():
        raise FileNotFoundError(f"dataset={str(folder)!r} has no {path.name}, which split={split!r} needs")
    return path


def _from_file(path: Path, split: str | None, question_field: str | None, answer_field: str | None) -> list[Problem]:
    """The rows of one file that belong to the split."""
    own = next((name for name in ("train", "test") if path.name.lower().startswith(name)), None)
    if own is not None and split not in (None, "all", own):
        raise ValueError(
            f"split={split!r}, but {path.name} is the {own} split by its name: leave split out, or name another file"
        )
    problems = [_problem(place, row, question_field, answer_field) for place, row in _rows_of_file(path)]
    if own is None and split in ("train", "test"):
        problems = [item for item in problems if held_out(" ".join(item.question.split())) == (split == "test")]
        if not problems:
            raise ValueError(f'{path} has no row left for split={split!r} (one in five is test); use split="all"')
    return problems


def _rows_of_file(path: Path) -> Iterator[tuple[str, Row]]:
    """Rows of a JSON lines file, each with its place for messages; lines of white space are no rows."""
    count = 0
    with path.open("rb") as lines:
        for line_number, line in enumerate(lines, start=1):
            place = f"{path}, line {line_number}"
            try:
                text = line.decode("utf-8-sig" if line_number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise DataError(f"{place}: not UTF-8 ({error.reason} at byte {error.start})") from error
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise DataError(f"{place}: not JSON ({error}); one object a line is expected") from error
            if not isinstance(row, dict):
                raise DataError(f"{place}: a JSON object with named fields is expected, not {_kind(row)}")
            count += 1
            yield place, row
    if count == 0:
        raise DataError(f"{path}: the file holds no row")


def _rows_of_hub(name: str, split: str | None) -> Iterable[tuple[str, Row]]:
    """Rows of a data set of the Hugging Face hub."""
    try:
        import datasets
    except ImportError as error:
        raise ImportError(
            f"dataset={name!r} is no file or folder, and names of the Hugging Face hub need datasets: "
            'pip install "textmdp[datasets]"'
        ) from error
    repository, _, configuration = name.partition(":")
    wanted = "train+test" if split == "all" else split or "train"
    try:
        table = datasets.load_dataset(repository, configuration or None, split=wanted)
    except Exception as error:  # the library raises a dozen kinds, from network to builder errors
        raise ValueError(
            f"dataset={name!r}: there is no such file, and the hub gave no split {wanted!r} of it "
            f"({type(error).__name__}: {error})"
        ) from error
    rows = [(f"{name}[{wanted}], row {i}", row) for i, row in enumerate(table)]
    if not rows:
        raise DataError(f"{name}[{wanted}]: the data set holds no row")
    return rows


def _problem(place: str, row: Row, question_field: str | None, answer_field: str | None) -> Problem:
    """One row as a problem; `place` says where it stands."""
    asked = question_field or next((name for name in ("question", "problem") if name in row), None)
    if asked is None:
        raise DataError(
            f"{place}: there is no field 'question' (GSM8K) or 'problem' (MATH) but {_names(row)}; "
            "name the fields with question_field= and answer_field="
        )
    question = _text(place, row, asked).strip() + "\n"
    if answer_field is not None:
        return Problem(question, *_answer_of(_text(place, row, answer_field, numbers=True)))
    if asked == "problem" or "solution" in row:
        return Problem(question, *_math(place, row))
    solution = _NOTE.sub("", _text(place, row, "answer")).strip()
    answer = _after_hashes(solution)
    if answer is None:
        raise DataError(
            f"{place}, field 'answer': no final answer '#### ...' found; "
            'where the field is the bare answer, say answer_field="answer"'
        )
    return Problem(question, answer, solution)


def _text(place: str, row: Row, name: str, *, numbers: bool = False) -> str:
    """A field as text; numbers are written out where they are allowed."""
    if name not in row:
        raise DataError(
            f"{place}: the field {name!r} is missing; the row has {_names(row)}; "
            "other names are given with question_field= and answer_field="
        )
    value = row[name]
    if numbers and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise DataError(f"{place}, field {name!r}: text is expected, not {_kind(value)}")
    if not value.strip():
        raise DataError(f"{place}, field {name!r}: the text is empty")
    return value


def _names(row: Row) -> str:
    return ", ".join(repr(name) for name in row) or "no fields at all"


def _kind(value: object) -> str:
    for kinds, name in (((int, float), "a number"), (list, "a list"), (dict, "an object"), (str, "text")):
        if isinstance(value, kinds) and not isinstance(value, bool):
            return name
    return "null" if value is None else "a boolean"


def _after_hashes(text: str) -> str | None:
    """The answer behind the last `####`, thousands commas removed from numbers; None where there is none."""
    _, marker, answer = text.rpartition("####")
    answer = answer.strip().partition("\n")[0].strip()
    if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", answer):
        answer = answer.replace(",", "")
    return answer or None if marker else None


def _answer_of(text: str) -> tuple[str, str]:
    """The answer and a solution from a field of any kind: with `####`, with a box, or bare."""
    text = _NOTE.sub("", text).strip()
    hashed = _after_hashes(text)
    if hashed is not None:
        return hashed, text
    boxed = last_boxed(text)
    if boxed is not None:
        return boxed, one_box(text, boxed)
    return text, f"#### {text}"


def _math(place: str, row: Row) -> tuple[str, str]:
    """Answer and solution of a row in the format of MATH."""
    answer = _text(place, row, "answer", numbers=True).strip() if row.get("answer") is not None else None
    if answer is not None and "solution" not in row:
        return answer, rf"\boxed{{{answer}}}"
    solution = _text(place, row, "solution").strip()
    boxed = last_boxed(solution)
    if answer is None and boxed is None:
        raise DataError(rf"{place}, field 'solution': no final answer \boxed{{...}} found")
    return answer or boxed or "", one_box(solution, answer or boxed or "")


def _boxes(text: str) -> list[tuple[int, int, str]]:
    r"""Start, end and content of each `\boxed{...}`, braces matched, outermost only."""
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
    r"""The content of the last `\boxed{...}` (or `\boxed 5`), braces matched; None where there is none.

    >>> last_boxed(r"first \boxed{1}, so $x = \boxed{\frac{1}{2}}$.")
    '\\frac{1}{2}'
    """
    found = _boxes(text)
    bare = re.findall(r"\\boxed\s+([^\s{}$]+?)[.,]?(?=[\s$]|\Z)", text)
    return found[-1][2] if found and found[-1][2] else (bare[-1] if bare else None)


def one_box(solution: str, answer: str) -> str:
    r"""The solution with one box only, the last, around the answer: several boxes that differ are no final answer.

    >>> one_box(r"We get \boxed{1} or \boxed{2}. So \boxed{2}.", "2")
    'We get 1 or 2. So \\boxed{2}.'
    """
    found = _boxes(solution)
    keep = found[-1] if found and found[-1][2] == answer.strip() else None
    for box in reversed(found):
        if box is not keep:
            solution = solution[: box[0]] + box[2] + solution[box[1] :]
    return solution if keep is not None else f"{solution}\n\\boxed{{{answer}}}"
