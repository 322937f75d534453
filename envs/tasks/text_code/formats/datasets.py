r"""Programming problems from files and from the Hugging Face hub.

The format of a row is told by its fields:

| data set | fields | shown | hidden |
|---|---|---|---|
| HumanEval, HumanEval+ | `prompt`, `entry_point`, `test` | what the prompt calls | the other tests of `check` |
| MBPP (full, sanitized), MBPP+ | `test_list` | the first assert | the other asserts; MBPP+: `test` |
| EvalPlus's own files | `base_input`, `plus_input` | what the prompt calls | the other inputs |
| APPS | `question`, `input_output` | cases that the question quotes | the other cases |

Where every test is shown, all of them are hidden tests too. Prompts:

- HumanEval's is its signature and docstring. A response continues it, or is the whole function.
- MBPP's is the task, what sets the tests up, and one assert: the first one without which the others do not all ask for
  one value, which a constant would earn. A response is a whole program.
- APPS's is the question, its starter code, and where input comes from, in the words of its authors. A response is a
  whole program, or continues the starter code.

EvalPlus's own files (HumanEvalPlus.jsonl, MbppPlus.jsonl) hold inputs and no results: the canonical solutions compute
them in the judge's sandbox. That, and reading hundreds of thousands of tests, takes from seconds to a minute, which is
said on stderr; the problems are then kept on disk, see `textmdp.envs.tasks.text_code.formats.cache`, and the next time
are read from there. So are those of any data set that took more than a second.

Every canonical solution passes: 164 of HumanEval, 974 of MBPP, 427 of its sanitized part. `return None` earns nothing
anywhere: a test that it passes asks for another one too. What the official graders do and this does in another way:

- asserts are graded one by one, and those that are `f(constants) == constant` as calls;
- modules of the standard library that asserts name without importing them are imported (MBPP 596);
- MBPP's `test_setup_code` runs in front of the program, and with the asserts. Where it or an assert needs classes that
  the solution defines (367, 601, 927), or passes types and functions (533), the program's process computes the left
  side of the assert, and the right side stays with the judge;
- numpy is not there: HumanEval+ and MBPP+ compare floats as `numpy.testing.assert_allclose` does, but shapes must be
  the same; programs of APPS get the imports that its authors put in front, without numpy. What they print is compared
  line by line.

Limits for `Judge.grade`: all canonical solutions keep far below the default of 3 s wall and 2 s of processor time
(0.4 s at most on a quiet machine) but that of MBPP 123, which takes 3.5 s on some machines: `wall=15, cpu=10` serves
it. APPS allows 4 s a case, and the limits are for all cases together.
"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike

from textmdp.envs.data.dataset_rows import DataError, Row, held_out, load_rows, names_of
from textmdp.envs.tasks.text_code.formats.apps import apps
from textmdp.envs.tasks.text_code.formats.cache import ProblemCache
from textmdp.envs.tasks.text_code.formats.evalplus import Run, evalplus
from textmdp.envs.tasks.text_code.formats.fields import Fields
from textmdp.envs.tasks.text_code.formats.humaneval_mbpp import humaneval, mbpp
from textmdp.envs.tasks.text_code.formats.solutions import Solutions
from textmdp.envs.tasks.text_code.problem import CodeProblem

#: MBPP's own test split, by task id; 1 to 10 are its examples for prompts, the others its training set.
MBPP_TEST = range(11, 511)


def load_code_problems(
    dataset: str | PathLike[str], split: str | None = None, *, skip_untested: bool = False, isolation: str = "best"
) -> list[CodeProblem]:
    """Read a data set of programming problems, in its order.

    Args:
        dataset: a file, a folder, or a name on the hub, see `textmdp.envs.data.dataset_rows.load_rows`:
            `"HumanEval.jsonl.gz"`, `"evalplus/mbppplus"`, `"google-research-datasets/mbpp:sanitized"`.
        split: "train", "test", "all" or None, see there; HumanEval has "test" alone on the hub. A file of MBPP is split
            by its task ids (11 to 510 are "test"), other files by the content of their prompts (one in five).
        skip_untested: leave out rows of APPS that hold no test (550 of the 5,000 for training), which are errors
            otherwise.
        isolation: the isolation of the judge that runs canonical solutions where a data set holds no results.

    Raises:
        DataError: a row cannot be read; the message names the file, the line and the field.
        FileNotFoundError, ValueError, ImportError: as `load_rows`; ValueError also where no row holds a test.
    """

    def read(place: str, row: Row) -> tuple[CodeProblem, bool] | None:
        problem = cache.problem(row, lambda: _problem(place, row, solutions.run))
        if problem is None:
            if skip_untested:
                return None
            raise DataError(
                f"{place}, field 'input_output': the row holds no test; skip_untested=True leaves such rows out"
            )
        number = row.get("task_id")
        in_test = number in MBPP_TEST if "test_list" in row and isinstance(number, int) else held_out(problem.prompt)
        return problem, in_test

    with ProblemCache(dataset) as cache, Solutions(isolation) as solutions:
        found = load_rows(dataset, split, read, lambda item: item is not None and item[1])
    problems = [item[0] for item in found if item is not None]
    if not problems:
        raise ValueError(f"dataset={str(dataset)!r}: no row holds a test")
    return problems


def _problem(place: str, row: Row, run: Run) -> CodeProblem | None:
    """One row as a problem; None where it holds no test."""
    formats: list[tuple[set[str], Callable[[Fields], CodeProblem | None]]] = [
        ({"prompt", "entry_point", "base_input"}, lambda fields: evalplus(fields, run)),
        ({"prompt", "entry_point", "test"}, humaneval),
        ({"test_list"}, mbpp),
        ({"question", "input_output"}, apps),
    ]
    for names, reader in formats:
        if names <= row.keys():
            return reader(Fields(place, row))
    raise DataError(
        f"{place}: the fields are not those of HumanEval ('prompt', 'entry_point', 'test'), MBPP ('test_list'), "
        f"EvalPlus ('prompt', 'entry_point', 'base_input') or APPS ('question', 'input_output') but {names_of(row)}"
    )
