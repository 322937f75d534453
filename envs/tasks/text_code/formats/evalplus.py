"""Rows of EvalPlus's own files, HumanEvalPlus.jsonl and MbppPlus.jsonl: inputs, and a solution that computes results.

A row has `task_id`, `prompt`, `entry_point`, `canonical_solution`, `base_input` and `plus_input` (lists of argument
lists), and `atol`. The results are what the canonical solution returns; it runs in the judge's sandbox, once for each
row (see `cache`). JSON has no tuples, sets and complex numbers: which arguments of MBPP's tasks are those is known by
the task's number, as in EvalPlus's `mbpp_deserialize_inputs`. Values are compared as EvalPlus compares them, with two
exceptions: shapes must be the same (see `plus`), and the answers of `are_equivalent` and `sum_div` must be the
canonical ones, where EvalPlus also takes True, and 0, for all inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from textmdp.envs.data.dataset_rows import kind_of
from textmdp.envs.judge.inside.wire import EncodingError, Opaque, decode, encode
from textmdp.envs.tasks.text_code.formats.conversion import CodeTest, example_tests, parse
from textmdp.envs.tasks.text_code.formats.fields import Fields
from textmdp.envs.tasks.text_code.formats.plus import USUAL, made_tests
from textmdp.envs.tasks.text_code.formats.suites import apart, shown_calls, suite_of, without_gifts
from textmdp.envs.tasks.text_code.problem import CodeProblem

#: Runs a program that reads these lines and prints lines: `run(program, lines)`. RuntimeError where it fails.
Run = Callable[[str, Sequence[str]], list[str]]

_HELPERS = f"""def is_floats(x):
    return isinstance(x, float) or isinstance(x, (list, tuple)) and all(isinstance(item, float) for item in x)
{USUAL}
"""
_NOT_NONE = frozenset({"check_str", "text_match_three", "text_starta_endb"})
_SETS = frozenset(
    {
        *(
            "Diff",
            "common_in_nested_lists",
            "extract_singly",
            "find_char_long",
            "find_dissimilar",
            "intersection_array",
        ),
        *("larg_nnum", "similar_elements"),
    }
)
_POLYNOMIAL = "def _poly(xs, x):\n    return sum(c * x ** i for i, c in enumerate(xs))\n"
_SURFACE = """def _surface(base, height):
    return round(base ** 2 + 4 * (base * ((base / 2) ** 2 + height ** 2) ** 0.5) / 2)
"""
_DIGITS = """def _distance(one, other):
    one, other = str(one), str(other)
    width = max(len(one), len(other))
    return sum(abs(int(a) - int(b)) for a, b in zip(one.zfill(width), other.zfill(width)))
"""

# Behind the solution: reads the arguments of a call from each line and prints what it returns.
_FOOTER = """

def _compute():
    import os, sys
    from inside import wire as _wire
    answers, sys.stdout = sys.stdout, open(os.dup(2), "w")
    for line in sys.stdin.read().splitlines():
        answers.write(_wire.encode({entry}(*_wire.decode(line)), 1 << 26) + "\\n")
    sys.stdout = answers

_compute()
"""


def evalplus(fields: Fields, run: Run) -> CodeProblem:
    """A row of EvalPlus's own files.

    Raises:
        DataError: it cannot be read, or its solution fails.
    """
    task, prompt, entry, solution = (fields.text(n) for n in ("task_id", "prompt", "entry_point", "canonical_solution"))
    atol = fields.row.get("atol") or 0
    if isinstance(atol, bool) or not isinstance(atol, (int, float)):
        raise fields.error("atol", f"a number is expected, not {kind_of(atol)}")
    is_mbpp = task.lower().startswith("mbpp")
    inputs = [*_inputs(fields, "base_input"), *_inputs(fields, "plus_input")]
    if not inputs:
        raise fields.error("base_input", "the lists of inputs are empty")
    try:
        number = int(task.rpartition("/")[2]) if is_mbpp else -1
        inputs = [restored(number, given) for given in inputs]
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise fields.error("base_input", f"not the arguments of {task}: {error}") from error
    results = _results(fields, entry, f"{prompt}\n{solution}" if is_mbpp else prompt + solution, inputs, run)
    before, docstring = "", ""
    if not is_mbpp:
        before, docstring = _head(fields, prompt, entry)
    examples = example_tests(docstring, entry)
    try:
        tests, setup = _tests(entry, is_mbpp, inputs, results, atol, examples, before)
        shown, hidden = apart(tests, shown_calls(prompt, entry) | {test.called for test in examples})
        known = {test.called for test in shown}
        visible = [*shown, *(test for test in examples if test.called not in known)]
        return CodeProblem(
            prompt=prompt,
            preamble=before,
            stub="" if is_mbpp else prompt,
            entry=entry,
            visible=suite_of(entry, visible, setup) if visible else None,
            hidden=suite_of(entry, without_gifts(hidden, entry), setup),
            solution=solution,
        )
    except ValueError as error:
        raise fields.error("base_input", error) from error


def _head(fields: Fields, prompt: str, entry: str) -> tuple[str, str]:
    from textmdp.envs.tasks.text_code.formats.humaneval_mbpp import of_prompt

    try:
        return of_prompt(prompt, entry)
    except ValueError as error:
        raise fields.error("prompt", error) from error


def _inputs(fields: Fields, name: str) -> list[list[Any]]:
    """The lists of arguments in a field; none where it is missing or null, or an empty object as EvalPlus writes it."""
    value = fields.row.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, list) for item in value):
        wrong = value if not isinstance(value, list) else next(i for i in value if not isinstance(i, list))
        raise fields.error(name, f"a list of lists of arguments is expected, not {kind_of(wrong)}")
    return value


def _results(fields: Fields, entry: str, program: str, inputs: Sequence[Sequence[Any]], run: Run) -> list[Any]:
    """What the canonical solution returns for each of the inputs."""
    try:
        lines = run(program + _FOOTER.replace("{entry}", entry), [encode(tuple(given), 1 << 26) for given in inputs])
        results = [decode(line) for line in lines]
    except (EncodingError, RuntimeError) as error:
        raise fields.error("canonical_solution", error) from error
    if len(results) != len(inputs):
        raise fields.error("canonical_solution", f"{len(inputs)} inputs, but it returned {len(results)} results")
    return [result is not None for result in results] if entry in _NOT_NONE else results


def _tests(
    entry: str,
    is_mbpp: bool,
    inputs: Sequence[Sequence[Any]],
    results: Sequence[Any],
    atol: float,
    examples: Sequence[CodeTest],
    before: str,
) -> tuple[list[CodeTest], str]:
    """The tests, and their set-up."""
    statement, helpers = f"assertion({entry}(*inp), exp, {atol})", _HELPERS
    if is_mbpp and entry in _SETS:
        statement, helpers = f"assert set({entry}(*inp)) == set(exp)", ""
    elif is_mbpp and entry in _NOT_NONE:
        helpers = "def same(out, exp):\n    return out == exp if isinstance(out, bool) else exp == (out is not None)\n"
        statement = f"assert same({entry}(*inp), exp)"
    elif is_mbpp and entry == "surface_Area":
        helpers += _SURFACE
        statement = (
            f"out = {entry}(*inp)\nif out != exp and not abs(out - _surface(*inp)) <= {atol}: raise AssertionError"
        )
    elif is_mbpp and entry == "digit_distance_nums":
        helpers = _DIGITS
        statement = f"assert {entry}(*inp) in (exp, _distance(*inp))"
    elif not is_mbpp and entry == "find_zero":
        helpers = _POLYNOMIAL
        statement = f"assert abs(_poly(*inp, {entry}(*inp))) <= {atol}"
    if any(isinstance(result, Opaque) for result in results):
        raise ValueError("the canonical solution returns what is not plain data")
    return made_tests(entry, inputs, results, statement, parse(helpers).body, examples, before)


def restored(number: int, given: list[Any]) -> list[Any]:
    """The arguments of a task of MBPP with the types that JSON lacks; other tasks have -1."""
    for numbers, restore in _RESTORED:
        if number in numbers:
            return restore(given)
    return given


def _tuples(given: Sequence[Any]) -> list[Any]:
    return [tuple(item) for item in given]


def _all_tuples(value: Any) -> Any:
    return tuple(map(_all_tuples, value)) if isinstance(value, list) else value


def _numbers(text: str) -> frozenset[int]:
    return frozenset(map(int, text.split()))


#: Numbers of tasks, and their arguments from those in JSON.
_RESTORED: Sequence[tuple[frozenset[int], Callable[[list[Any]], list[Any]]]] = [
    (_numbers("2 116 132 143 222 261 273 394 399 421 424 429 470 560 579 596 616 630 726 740 744 809"), _tuples),
    (_numbers("63 64 70 94 120 237 272 299 400 409 417 438 473 614 780"), lambda g: [*map(_tuples, g)]),
    (_numbers("75 413 444 753"), lambda g: [_tuples(g[0]), g[1]]),
    (_numbers("106 750"), lambda g: [g[0], tuple(g[1])]),
    (_numbers("115"), lambda g: [[set(item) if item else {} for item in g[0]]]),
    (_numbers("124"), lambda g: [float(g[0]), complex(g[1])]),
    (_numbers("252"), lambda g: [complex(g[0])]),
    (_numbers("250 405 446 617 720 763 808"), lambda g: [tuple(g[0]), g[1]]),
    (_numbers("259 401 445"), lambda g: [tuple(_tuples(item)) for item in g]),
    (_numbers("278"), lambda g: [tuple(tuple(i) if isinstance(i, list) else i for i in g[0])]),
    (_numbers("307"), lambda g: [tuple(g[0]), *g[1:3]]),
    (_numbers("722"), lambda g: [{key: tuple(value) for key, value in g[0].items()}, *g[1:]]),
    (_numbers("580 615 791"), lambda g: [*map(_all_tuples, g)]),
]
