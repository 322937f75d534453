"""A generator of programming problems, with named difficulties and splits that share no function.

Problem `index` is a function of the seed, the split, the difficulty and the index. The split of a problem is a function
of what its program computes, for every statement and seed: `x + 3 + y` is held out if `y + 3 + x` is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from hashlib import blake2b
from typing import Any, NamedTuple

from textmdp.envs.data.counter_rng import CounterRNG, CounterStreams
from textmdp.envs.data.dataset_rows import SPLITS, held_out
from textmdp.envs.judge import calls
from textmdp.envs.judge.suites import Calls
from textmdp.envs.tasks.text_code.generator.expression_programs import (
    OPERATION_WORDS,
    STEP_WORDS,
    TEXT_WORDS,
    arithmetic,
    operations,
    texts,
)
from textmdp.envs.tasks.text_code.generator.grammar import COMPARED, DIGITS, ENDINGS, INDENT, LINES, ProgramGrammar
from textmdp.envs.tasks.text_code.generator.program_spec import ProgramSpec
from textmdp.envs.tasks.text_code.generator.statement_programs import (
    CHOICE_WORDS,
    LIST_WORDS,
    LOOP_WORDS,
    choices,
    lists,
    loops,
)
from textmdp.envs.tasks.text_code.problem import CodeProblem

#: The name of the function to write.
ENTRY = "f"
#: The number of hidden tests, and the maximum number of them at the borders of the cases.
HIDDEN, MAX_EDGES = 10, 6
#: The number of arguments on which functions are compared.
_PROBES = 24

Arguments = tuple[Any, ...]
#: Samples the arguments of a call, given their number.
ArgumentSampler = Callable[[CounterRNG, int], Arguments]


class Exercise(NamedTuple):
    """A problem, and a common mistake."""

    problem: CodeProblem
    """The problem with its tests."""
    mistake: str
    """A plausible response that is mostly wrong."""


def _numbers(low: int, high: int) -> ArgumentSampler:
    """Integers in a range."""
    return lambda rng, count: tuple(rng.between(low, high) for _ in range(count))


def _strings(low: int, high: int) -> ArgumentSampler:
    """Strings with a number of letters in a range."""
    return lambda rng, count: tuple(
        "".join(rng.choice("abcde") for _ in range(rng.between(low, high))) for _ in range(count)
    )


def _list(rng: CounterRNG, count: int) -> Arguments:
    return tuple([rng.between(-4, 14) for _ in range(rng.between(3, 7))] for _ in range(count))


@dataclass(frozen=True, slots=True)
class Level:
    """A difficulty.

    Attributes:
        example: the statement of one of its problems.
        compose: samples a specification; None to reject.
        arguments: samples the arguments of a test.
        shown: samples the arguments of an example, which should be easy to read.
        examples: the number of examples in the docstring.
        max_text_bytes: the maximum length of a prompt in bytes.
        max_response_tokens: the budget of a response.
        words: the phrases of its statements, other than names and numbers.
        lexemes: the lexemes of its programs and examples, other than digits.
    """

    example: str
    compose: Callable[[CounterRNG], ProgramSpec | None]
    arguments: ArgumentSampler
    shown: ArgumentSampler
    examples: int
    max_text_bytes: int
    max_response_tokens: int
    words: tuple[str, ...]
    lexemes: tuple[str, ...]

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The tokens of prompts and programs."""
        return tuple(dict.fromkeys((*_FRAME, *DIGITS, *self.lexemes, *self.words)))


#: The tokens of every prompt and program.
_FRAME = (
    *(f"def {ENTRY}(", ", ", '):\n    """', f"\n\n    >>> {ENTRY}(", f"\n    >>> {ENTRY}(", '\n    """\n'),
    *(INDENT, LINES[1], "return ", "(", ")", "-"),
)
_ARITHMETIC = ("x", "y", " + ", " - ", " * ", " // ", " % ", " / ")
_LETTERS = ("'", *"abcdeABCDE")

_ANY, _SMALL = _numbers(-9, 20), _numbers(2, 9)

_CHOOSING = ("if ", ":", LINES[2], *COMPARED)
_LOOPING = ("for ", " in ", LINES[3], " = ")
_LISTING = (".append(", "[]", "[", "]", "[::-1]", "[1:]", "[:-1]", "sorted(", "sum(", "len(")

#: The difficulties, easiest first.
LEVELS: dict[str, Level] = {
    "entry": Level(
        example="Add 3 to x.",
        compose=operations,
        arguments=_ANY,
        shown=_SMALL,
        examples=1,
        max_text_bytes=80,
        max_response_tokens=6,
        words=OPERATION_WORDS,
        lexemes=("x", " + ", " - ", " * "),
    ),
    "one-step": Level(
        example="Add 3 to x.",
        compose=partial(arithmetic, steps=1),
        arguments=_ANY,
        shown=_SMALL,
        examples=1,
        max_text_bytes=100,
        max_response_tokens=12,
        words=STEP_WORDS,
        lexemes=_ARITHMETIC,
    ),
    "two-step": Level(
        example="Add 3 to x, then multiply by y.",
        compose=partial(arithmetic, steps=2),
        arguments=_ANY,
        shown=_SMALL,
        examples=1,
        max_text_bytes=120,
        max_response_tokens=16,
        words=STEP_WORDS,
        lexemes=_ARITHMETIC,
    ),
    "three-step": Level(
        example="Add 3 to x, then multiply by y, then take it modulo 5.",
        compose=partial(arithmetic, steps=3),
        arguments=_ANY,
        shown=_SMALL,
        examples=2,
        max_text_bytes=200,
        max_response_tokens=24,
        words=STEP_WORDS,
        lexemes=_ARITHMETIC,
    ),
    "choices": Level(
        example="If x is at least y, return x plus 3; otherwise, return y.",
        compose=choices,
        arguments=_ANY,
        shown=_SMALL,
        examples=2,
        max_text_bytes=180,
        max_response_tokens=32,
        words=CHOICE_WORDS,
        lexemes=(*_ARITHMETIC, *_CHOOSING),
    ),
    "texts": Level(
        example="Take s, then append t, then reverse it.",
        compose=texts,
        arguments=_strings(0, 6),
        shown=_strings(1, 4),
        examples=2,
        max_text_bytes=320,
        max_response_tokens=32,
        words=TEXT_WORDS,
        lexemes=("s", "t", " + ", " * ", "len(", *ENDINGS, "[:", "]", *_LETTERS),
    ),
    "loops": Level(
        example="Add up i times 3 for every i from 1 to n that is a multiple of 2.",
        compose=loops,
        arguments=_numbers(0, 12),
        shown=_numbers(2, 6),
        examples=2,
        max_text_bytes=200,
        max_response_tokens=48,
        words=LOOP_WORDS,
        lexemes=("n", "i", "total", *_ARITHMETIC[2:], *_CHOOSING, *_LOOPING, "range(", " *= ", " += "),
    ),
    "lists": Level(
        example="Take x times 3 for every x in xs that is at least 4, in reverse.",
        compose=lists,
        arguments=_list,
        shown=_list,
        examples=2,
        max_text_bytes=280,
        max_response_tokens=48,
        words=LIST_WORDS,
        lexemes=("xs", "x", "out", *_ARITHMETIC[2:], *_CHOOSING, *_LOOPING, *_LISTING),
    ),
}
DEFAULT_LEVEL = "two-step"


class Programs:
    """The problems of one difficulty, split and seed.

    Args:
        difficulty: a key of `LEVELS`.
        split: "train", "test" (one function in five, by what it computes) or "all".
        seed: any integer; it decides the order of the problems.

    >>> generator = Programs("two-step", "train", seed=0)
    >>> generator.exercises([5]) == [generator.exercises([3, 4, 5])[2]]
    True
    """

    def __init__(self, difficulty: str = DEFAULT_LEVEL, split: str = "train", seed: int = 0):
        if difficulty not in LEVELS:
            raise ValueError(f"difficulty={difficulty!r} is none of {', '.join(map(repr, LEVELS))}")
        if split not in SPLITS:
            raise ValueError(f"split={split!r} is none of {', '.join(map(repr, SPLITS))}")
        self.difficulty, self.split = difficulty, split
        self._streams = CounterStreams(int(seed), split, "programs", difficulty)

    @property
    def level(self) -> Level:
        """The difficulty."""
        return LEVELS[self.difficulty]  # not an attribute: a task is pickled, and a level contains functions

    def exercises(self, indices: Sequence[int]) -> list[Exercise]:
        """The problems with these indices."""
        starts = self._streams.of_problems(indices).tolist()
        return [_sampled(self.difficulty, self.split, start) for start in starts]


@cache
def grammar(difficulty: str, stub: str) -> ProgramGrammar:
    """The grammar of the bodies of a signature in the vocabulary of a difficulty."""
    parameters = stub.partition("(")[2].partition(")")[0].split(", ")
    return ProgramGrammar(LEVELS[difficulty].vocabulary, parameters, ("total", "out", "i", "x"))


@lru_cache(maxsize=1 << 12)
def _sampled(difficulty: str, split: str, start: int) -> Exercise:
    """The first problem of the split in the stream that starts with the word `start`."""
    rng, level = CounterRNG(start), LEVELS[difficulty]
    while True:
        spec = level.compose(rng)
        if spec is None or len(spec.statement) > level.max_text_bytes:
            continue
        test, exercise = _finished(difficulty, spec)
        if exercise is not None and (split == "all" or test == (split == "test")):
            return exercise


@lru_cache(maxsize=1 << 13)
def _finished(difficulty: str, spec: ProgramSpec) -> tuple[bool, Exercise | None]:
    """True if a function is held out, and its exercise; None if the function is too simple for one."""
    level = LEVELS[difficulty]
    probes = _probes(difficulty, len(spec.parameters))
    results = [repr(spec.run(*arguments)) for arguments in probes]
    # A constant function, a function that returns an argument, and one with a long prompt are no problems.
    given = [[repr(arguments[place]) for arguments in probes] for place in range(len(spec.parameters))]
    content = f"{difficulty} {' '.join(results)}"
    if len(set(results)) == 1 or results in given:
        return False, None
    exercise = _exercise(level, spec, CounterRNG(_word(content)))
    return held_out(content), exercise if len(exercise.problem.prompt) <= level.max_text_bytes else None


@cache
def _probes(difficulty: str, count: int) -> list[Arguments]:
    """The arguments on which functions of a difficulty with `count` parameters are compared."""
    rng = CounterRNG(_word(difficulty))
    return [LEVELS[difficulty].arguments(rng, count) for _ in range(_PROBES)]


def _word(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def _exercise(level: Level, spec: ProgramSpec, rng: CounterRNG) -> Exercise:
    """The problem of a specification, with random tests."""
    shown: dict[str, Arguments] = {}
    while len(shown) < level.examples:
        arguments = level.shown(rng, len(spec.parameters))
        shown[repr(arguments)] = arguments
    hidden: dict[str, Arguments] = {}
    edges = list(spec.edges)
    while len(hidden) < HIDDEN:
        take_edge = edges and len(hidden) < MAX_EDGES
        arguments = edges.pop() if take_edge else level.arguments(rng, len(spec.parameters))
        if repr(arguments) not in shown:
            hidden[repr(arguments)] = arguments
    signature = f"def {ENTRY}({', '.join(spec.parameters)}):\n"
    examples = [
        f"    >>> {ENTRY}({', '.join(map(repr, arguments))})\n    {spec.run(*arguments)!r}\n"
        for arguments in shown.values()
    ]
    prompt = f'{signature}    """{spec.statement}\n\n{"".join(examples)}    """\n'
    visible, suite = (_suite(spec, list(tests.values())) for tests in (shown, hidden))
    return Exercise(CodeProblem(prompt, "", signature, ENTRY, visible, suite, spec.body), spec.careless)


def _suite(spec: ProgramSpec, tests: list[Arguments]) -> Calls:
    return calls(ENTRY, [(test, {}) for test in tests], expected=[spec.run(*test) for test in tests])
