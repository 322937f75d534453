"""TextCode: write a function or, on data sets, a program that passes hidden tests."""

from __future__ import annotations

import operator
from collections.abc import Collection, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from textmdp.envs.core.task import Reply, Score, Task
from textmdp.envs.data.response_budget import response_budget
from textmdp.envs.judge.limits import check_limits
from textmdp.envs.judge.shared import acquire, release
from textmdp.envs.tasks.text_code.generator.generate import DEFAULT_LEVEL, Exercise, Programs, grammar
from textmdp.envs.tasks.text_code.generator.mutants import first_mutant
from textmdp.envs.tasks.text_code.generator.prefix import valid_prefix
from textmdp.envs.tasks.text_code.problem import FENCES, program_of
from textmdp.envs.tasks.text_code.scoring import GradedReply, Scoring, longest_expected, suites
from textmdp.envs.tokenizers import ByteTokenizer, Tokenizer

if TYPE_CHECKING:
    from textmdp.envs.judge import Judge
    from textmdp.envs.judge.engine import Pending
    from textmdp.envs.judge.outputs import Comparison

CREDITS = ("fraction", "all")
#: The default limits: seconds of idle time and of processor time.
WALL, CPU = 3.0, 2.0
#: The default of a judge for the bytes of a result.
OUTPUT = 1 << 20


class TextCode(Task[Exercise]):
    r'''Write a program that passes hidden tests, for generated functions or the problems of a data set.

    ## Description
    The environment shows a signature and a docstring, and the policy responds once, with the body. The judge
    (`textmdp.envs.judge`) runs the program in a sandbox and compares its results with the expected ones.

        def f(x, y):
            """Subtract x from 3, then subtract it from y.

            >>> f(3, 5)
            5
            """
            return y - (3 - x)

    | difficulty | a statement | tokens of a body | budget in tokens |
    |---|---|---|---|
    | `entry` | Add 3 to x. | 5 | 6 |
    | `one-step` | Add 3 to x. | 5 | 12 |
    | `two-step` (default) | Add 3 to x, then multiply by y. | 7–9 | 16 |
    | `three-step` | Add 3 to x, then multiply by y, then take it modulo 5. | 9–13 | 24 |
    | `choices` | If x is at least y, return x plus 3; otherwise, return y. | 12–16 | 32 |
    | `texts` | Take s, then append t, then reverse it. | 6–20 | 32 |
    | `loops` | Add up i times 3 for every i from 1 to n that is a multiple of 2. | 23–33 | 48 |
    | `lists` | Take x times 3 for every x in xs that is at least 4, in reverse. | 24–30 | 48 |

    The budget of a data set is the number of tokens, in the tokenizer in use, of its longest solution as a whole
    program and of 2,048 characters of reasoning (`textmdp.envs.data.response_budget`).

    ## Action space
    Text: the body with its indentation, a whole program, or prose with a fenced block; see
    `textmdp.envs.tasks.text_code.problem.program_of`. The compact tokenizer of a difficulty has the lexemes of its
    programs (`return `, ` + `, a line break with its indentation), digits, and the phrases of its statements. The
    budgets count these tokens, so other tokenizers need a larger `max_response_tokens`. The default tokenizer of data
    sets is bytes.

    ## Observation space
    Text, the prompt: a signature, a statement and one or two examples, or the prompt of a data set.

    ## Rewards
    `passed`, the fraction of hidden tests that the program passes, is the reward; with `credit="all"` the reward is
    `solved`, 1 if it passes all of them and 0 otherwise. `solved` decides the success. The part that is not the reward
    is a metric, and so are `compiles` (0 for invalid Python), `passes_examples` (1 if the program also passes the
    examples of the prompt) and, with `measure_runtime=True`, `runtime` in seconds of processor time. The potential of
    `reward="dense"` is v / (v + n) for a response whose first v characters may begin a program, and a reference of n
    characters. If the budget cuts a response to a data set's problem, a program that touches the cut earns nothing,
    since it may be incomplete.

    The score is a function of program and tests, with two exceptions: a program that takes about as long as the limits
    may or may not finish in time, and runtimes vary. `runtime` is therefore left out by default.

    ## Starting state
    Problem `index`, with its tests, is a function of seed, split, difficulty and index (from 0, below 2**62). Its split
    is a function of what its program computes: one function in five is held out, whatever its statement. There are ten
    hidden tests, at the borders of the cases if there are cases; the prompt shows none of them. They catch more than 99
    % of the mutants of the reference (`textmdp.envs.tasks.text_code.generator.mutants`). Problem `index` of a data set
    is its row `index`.

    ## Episode end
    Every episode terminates with the first response.

    ## Arguments
    - `difficulty`: a name from the table.
    - `split`: `"train"`, `"test"` or `"all"`. None is `"train"` for the difficulties; for files, see
      `textmdp.envs.tasks.text_code.formats.datasets.load_code_problems`.
    - `seed`: the order of the generated problems.
    - `dataset`: a file or folder, or a name on the Hugging Face hub: HumanEval, MBPP, their plus versions, APPS.
    - `skip_untested`: True to leave out a data set's rows without tests, which are errors otherwise.
    - `credit`: `"fraction"` or `"all"`.
    - `grammar`: True for the grammar of the difficulty's programs (`continuations`, the action mask). It allows
      programs that compile, read no unknown name, and can be finished within the budget. It needs the compact
      tokenizer.
    - `wall`, `cpu`: the limits for all tests of a program together: seconds in which it may be idle, and seconds of
      processor time.
    - `test_wall`, `test_cpu`: the same for each test; None for half of the total, see
      `textmdp.envs.judge.Judge.grade`.
    - `isolation`: the confinement of programs, see `textmdp.envs.judge.Judge`. All tasks of a process with the same
      value share one judge. The first response starts it, and closing the last of their environments closes it.
    - `modules`: installed modules, such as `("numpy",)`, that programs may import, see `textmdp.envs.judge.Judge`.
    - `preamble`: for data sets, code before each program, such as `textmdp.envs.judge.LEETCODE`.
    - `compare`, `tolerance`: for data sets of programs that print, what counts as the same output, see
      `textmdp.envs.judge.suites.stdio`.
    - `judge`: a judge of your own instead, which you close. For generated problems, programs that are plain functions
      may be graded one after the other in one process (`sharing` of `Judge.grade`); for data sets each has its own.
    - `measure_runtime`: True for the metric `runtime`.

    ## Version history
    - v0: first release.
    '''

    max_turns = 1

    def __init__(
        self,
        difficulty: str = DEFAULT_LEVEL,
        split: str | None = None,
        seed: int = 0,
        dataset: str | PathLike[str] | None = None,
        skip_untested: bool = False,
        credit: str = "fraction",
        grammar: bool = False,
        wall: float = WALL,
        cpu: float = CPU,
        test_wall: float | None = None,
        test_cpu: float | None = None,
        isolation: str = "best",
        modules: Sequence[str] = (),
        preamble: str = "",
        compare: Comparison = "lines",
        tolerance: float | None = None,
        judge: Judge | None = None,
        measure_runtime: bool = False,
    ):
        if credit not in CREDITS:
            raise ValueError(f"credit={credit!r} is none of {', '.join(map(repr, CREDITS))}")
        check_limits(wall, cpu, test_wall, test_cpu)
        self._modules = (modules,) if isinstance(modules, str) else tuple(modules)
        if judge is None:
            acquire(isolation, self, self._modules)  # starts nothing yet, and refuses what is unknown
        elif isolation != "best":
            raise ValueError(f"isolation={isolation!r} is for a judge that is made here; judge= has its own")
        elif modules:
            raise ValueError(f"modules={modules!r} is for a judge that is made here; judge= has its own")
        self._scoring = Scoring("passed" if credit == "fraction" else "solved", bool(measure_runtime))
        self._isolation, self._judge = isolation, judge
        self._limits: dict[str, Any] = {"wall": wall, "cpu": cpu}
        self._limits |= {} if test_wall is None else {"test_wall": test_wall}
        self._limits |= {} if test_cpu is None else {"test_cpu": test_cpu}
        self._grammar = bool(grammar)
        self._generator: Programs | None = None
        self._rows: list[tuple[Exercise, str]] = []
        if dataset is None:
            if skip_untested:
                raise ValueError("skip_untested=True is for data sets: give dataset= too")
            if preamble or compare != "lines" or tolerance is not None:
                raise ValueError("preamble=, compare= and tolerance= are for data sets: give dataset= too")
            self._generator = Programs(difficulty, "train" if split is None else split, operator.index(seed))
            level = self._generator.level
            self.max_response_tokens, self.max_text_bytes = level.max_response_tokens, level.max_text_bytes
            return
        if difficulty != DEFAULT_LEVEL:
            raise ValueError(f"difficulty={difficulty!r} is for generated problems; with dataset= leave it out")
        if grammar:
            raise ValueError("grammar=True is for generated problems, which have a vocabulary; data sets have none")
        from textmdp.envs.tasks.text_code.formats.datasets import load_code_problems
        from textmdp.envs.tasks.text_code.formats.suites import adapted

        confined = isolation if judge is None else judge.isolation
        problems = load_code_problems(dataset, split, skip_untested=skip_untested, isolation=confined)
        problems = adapted(problems, preamble, compare, tolerance)
        if (output := 2 * max(map(longest_expected, problems))) > (OUTPUT if judge is None else judge.output):
            self._limits["output"] = output
        self._rows = [(Exercise(problem, ""), problem.prompt) for problem in problems]
        self.num_problems = len(problems)
        self.max_text_bytes = max(len(problem.prompt.encode()) for problem in problems)
        self.max_response_tokens = self.response_budget(ByteTokenizer())

    def problem(self, index: int) -> tuple[Exercise, str]:
        """Problem `index`: the state is the problem with its tests, the text is the prompt."""
        return self.problems([index])[0]

    def problems(self, indices: Sequence[int]) -> list[tuple[Exercise, str]]:
        """`problem` for each index; at the default difficulty 0.2 ms each if they are new, 1 µs if they are cached."""
        if self._generator is not None:
            return [(exercise, exercise.problem.prompt) for exercise in self._generator.exercises(indices)]
        if any(not 0 <= index < len(self._rows) for index in indices):
            wrong = next(index for index in indices if not 0 <= index < len(self._rows))
            raise IndexError(f"problem {wrong}: the data set has problems 0 to {len(self._rows) - 1}")
        return [self._rows[index] for index in indices]

    def reply(self, state: Exercise, response: str, rng: np.random.Generator) -> Reply[Exercise]:
        """The score of the response; the episode ends."""
        return self.reply_many([state], [response], [rng])[0]

    def submit(
        self, states: Sequence[Exercise], responses: Sequence[str], rngs: Sequence[np.random.Generator]
    ) -> list[GradedReply]:
        """Futures of the replies; the judge grades the programs in parallel, equal ones of a problem once.

        Several threads may share the task. If the judge is closed before a program is graded, `result` raises.
        """
        keys = list(zip(states, responses, strict=True))
        new = [key for key in dict.fromkeys(keys) if not self._is_reference(*key)]
        pending: dict[tuple[Exercise, str], Pending] = {}
        if new:
            judge = self._judge or acquire(self._isolation, self, self._modules)
            groups = [
                [(program_of(state.problem, response), suite) for suite in suites(state.problem)]
                for state, response in new
            ]
            sharing = self._generator is not None  # such programs consist of a few operations and names
            pending = dict(zip(new, judge.submit_each(groups, **self._limits, sharing=sharing), strict=True))
        return [GradedReply(key[0], pending.get(key), self._scoring) for key in keys]

    def success(self, scores: Sequence[Score]) -> bool:
        """True if the program passes all hidden tests, whatever `credit` is."""
        return bool(scores) and scores[-1].parts["solved"] == 1.0

    def reply_to_cut(self, state: Exercise, response: str, reply: Reply[Exercise]) -> Reply[Exercise]:
        """For a data set, a program that touches the cut earns nothing, since it is not all of the program.

        The program touches the cut if a further character would change it, unless a line break or a fence ends its
        last statement there.
        """
        if self._generator is not None or not reply.score.parts["passed"] or response.rstrip().endswith(FENCES):
            return reply
        if program_of(state.problem, response) == program_of(state.problem, response + "?"):
            return reply
        score = reply.score
        return reply._replace(score=Score({**score.parts, "passed": 0.0, "solved": 0.0}, score.weights))

    def response_budget(self, tokenizer: Tokenizer) -> int:
        """The level's budget; for a data set, room for its longest solution as a whole program and for reasoning."""
        if self._generator is not None:
            return self.max_response_tokens
        problems = (exercise.problem for exercise, _ in self._rows)
        return response_budget(tokenizer, (problem.stub + problem.solution for problem in problems))

    def _is_reference(self, state: Exercise, response: str) -> bool:
        """True for the reference of a generated problem: the tests were computed from it, so it passes them."""
        return self._generator is not None and not self._scoring.measure_runtime and response == state.problem.solution

    def close(self) -> None:
        """Release the shared judge, which closes with its last task; a judge of your own stays open."""
        if self._judge is None:
            release(self._isolation, self, self._modules)

    def demonstrate(self, state: Exercise, rng: np.random.Generator) -> str:
        """The reference."""
        return state.problem.solution

    def mistake(self, state: Exercise, rng: np.random.Generator) -> str:
        """A common mistake: missing brackets, operands in the order of reading, borders off by one.

        For a data set, the first mutant of the reference (`textmdp.envs.tasks.text_code.generator.mutants`).
        """
        if state.mistake:
            return state.mistake
        return first_mutant(program_of(state.problem, state.problem.solution))

    def potential(self, state: Exercise, partial: str) -> float:
        """v / (v + n): the first v characters of the response may begin a program, and the reference has n.

        It is in [0, 1), and never decreases as a response grows. If there are fenced blocks, v is the largest of the
        response and the blocks. Nothing is executed.
        """
        blocks = [block.partition("\n")[2] for block in partial.split("```")[1::2]]
        valid = max(map(valid_prefix, [partial, *blocks]))
        return valid / (valid + max(1, len(state.problem.solution)))

    def continuations(self, state: Exercise, partial: str) -> Collection[str] | None:
        """With `grammar=True`, the tokens after which the body still compiles and can be finished in the budget."""
        if not self._grammar or self._generator is None:
            return None
        return grammar(self._generator.difficulty, state.problem.stub).following(partial, self.max_response_tokens)

    @property
    def has_grammar(self) -> bool:
        """True with `grammar=True`."""
        return self._grammar

    def vocabulary(self) -> Sequence[str] | None:
        """The lexemes of the difficulty's programs and statements; None (bytes) for data sets."""
        return None if self._generator is None else self._generator.level.vocabulary
