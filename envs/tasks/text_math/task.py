"""TextMath: answer a question with a number or, on data sets, with any mathematical expression."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import repeat
from os import PathLike

import numpy as np

from textmdp.envs.answers import Outcome, grade, is_number, require_symbolic
from textmdp.envs.core.task import END_OF_TURN, Reply, Score, Task
from textmdp.envs.data.response_budget import most_tokens, response_budget
from textmdp.envs.tasks.text_math.arithmetic import DEFAULT_LEVEL, LEVELS, Arithmetic
from textmdp.envs.tasks.text_math.datasets import Problem, load_problems
from textmdp.envs.tasks.text_math.mistakes import common_mistake
from textmdp.envs.tasks.text_math.mixtures import Mixture, limits_of, parse_difficulty
from textmdp.envs.tasks.text_math.steps import MODES, Thinking, way_names
from textmdp.envs.tokenizers import ByteTokenizer, LexiconTokenizer, Tokenizer

_NUMBER = r"[+-]?(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|(?:[0-9]+ )?[0-9]+/[0-9]+|[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
#: The characters of the compact vocabulary, with U+FFFD for special tokens; those that may follow a final answer.
_SIGNS, _CLOSING = "0123456789+-*/().=, \n#A:\ufffd", " \n*)."
_OTHER = re.compile(rf"[^{re.escape(_SIGNS)}]")
#: The end of a response in signs alone, with its final answer; the part before it, which is empty or ends in a marker.
_FINAL = re.compile(rf"[ *(]*({_NUMBER})[{re.escape(_CLOSING)}]*")
_MARKED = re.compile(rf"(?:[{re.escape(_SIGNS)}]*(?:####|=|^[ *]{{0,4}}A ?:))?", re.MULTILINE)
_QUESTION = operator.attrgetter("question")
_LONGEST_NUMBER = 40
_LONGEST_SHARED = 4096
#: The markers of a final answer for `potential`.
_MARKER = re.compile(
    r"####[ \t]*|\\boxed\s*\{|^[ \t>*]{0,4}A[ \t]?:[ \t]*|\banswer(?: is)?:?[ \t]*", re.MULTILINE | re.IGNORECASE
)


#: With `grammar=True`: the marker or none, and then a number.
_HASH = "#### "
_DIGITS = tuple("0123456789")


class TextMath(Task[Problem]):
    r"""Answer a mathematical question, from an arithmetic generator or a data set.

    ## Description
    The environment asks a question, and the policy responds once, with or without reasoning. Only the final answer
    counts: `#### x`, `\boxed{x}`, `A: x` on a line of its own, or else the whole response if it is an answer. The
    conventions are those of `textmdp.envs.answers`. A response with different final answers is wrong.

    | difficulty | a question | budget in tokens, with steps | ways to work it |
    |---|---|---|---|
    | `entry` | `3+1=` | 2, 48 | `count`, `ten` |
    | `one-digit` | `3+9=` | 16, 96 | `count`, `ten` |
    | `two-digit` (default) | `12-45=` | 32, 48 | `columns`, `places` |
    | `three-digit` | `702+399=` | 32, 64 | `columns`, `places` |
    | `modular-5` | `(6+9+1+1+7)%10=`, a sum modulo 10 | 16, 16 | `totals`, `pairs` |
    | `modular-6` | the same of six digits | 16, 16 | `totals`, `pairs` |
    | `products` | `17*63=` | 48, 96 | `rows`, `parts` |
    | `brackets` | `7*(12-45)=` | 48, 256 | `columns`, `operations` |
    | `decimals` | `3.7-12.45=` | 48, 192 | `aligned`, `whole` |
    | `fractions` | `1/2+3/4=` | 48, 128 | `least`, `cross` |
    | `expressions` | `(12-45)/6+7*2=` | 96, 512 | `columns`, `operations` |
    | `words` | `Ann has 12 coins and gives 5 to Ben. How many coins …? ` | 96, 256 | `columns`, `operations` |

    Demonstrations are bare answers (`thinking="none"`), or worked step by step (`"steps"`), or some of each
    (`"mixed"`). A worked response to `68+57=` is

    ```text
    8+7=15
    6+5+1=12
    #### 125
    ```

    Each step is a line; running totals modulo 10 are digits with blanks between them (`6 5 6 7 4 #### 4`). A mistake
    errs in one step, and all that follows is consistent with it.

    The budget of a data set is the number of tokens, in the tokenizer in use, of its longest solution and of 2,048
    characters of reasoning (`textmdp.envs.data.response_budget`).

    ## Action space
    Text. The compact tokenizer of the arithmetic levels has the digits, `+-*/().=,`, a blank, a line break, and the
    markers `#### ` and `A: `; the word problems add a lexicon of words, and `entry`, which agents learn from scratch,
    has the digits, `+` and `=` alone unless steps are demonstrated. The default tokenizer of data sets is bytes.

    ## Observation space
    Text, the question: an expression and `=`, a story, or a row's question and a line break.

    ## Rewards
    `correct`, 1 or 0, is the reward and decides the success. `format` (1 if the response has a final answer, for
    arithmetic a number) and `length` (of the response, in characters) are metrics; for data sets, `undecided` is 1 if
    algebra ran out of processor time twice, which is no statement about the answer. The potential of `reward="dense"`
    is the fraction of the answer's characters that the final answer so far has right.

    With `thinking`, three more metrics describe the work: `steps_right`, the fraction of the steps, from the first on,
    that are those of a way to work the question; `thinking_tokens`, the tokens before the marker of the answer, in the
    compact tokenizer; `answer_given`, 1 if there is a marker. The potential counts right steps, too: all steps of n are
    worth n / (n + 1), and the right answer 1. `rewards={"correct": 1.0, "steps_right": 0.5}` rewards the process as
    well as the outcome.

    Arithmetic answers are numbers, compared exactly: `5/4`, `10/8` and `1.25` are equal. A response of digits, signs
    and markers alone is parsed strictly: it is its answer, or ends in it after `####`, `A:` or `=`, with an optional
    full stop, stars and brackets. Repeating the question is wrong. Answers of data sets are also compared by algebra,
    in a worker process with math-verify, unless `symbolic=False`. If the budget cuts a response to a data set's
    question, a final answer that touches the cut is wrong, since it may be incomplete.

    ## Starting state
    Arithmetic problem `index` is a function of seed, split, difficulty and index (from 0, below 2**62). Its split is a
    function of its content: one problem in five is held out, regardless of the order of summands and factors. Problem
    `index` of a data set is its row `index`.

    ## Episode end
    Every episode terminates with the first response.

    ## Arguments
    - `difficulty`: a name from the table, or a mixture such as `"one-digit:0.2,two-digit:0.8"`.
    - `split`: `"train"`, `"test"` or `"all"`. None is `"train"` for arithmetic; for files, see
      `textmdp.envs.tasks.text_math.datasets.load_problems`.
    - `seed`: the order of the arithmetic problems.
    - `thinking`: `"none"`, `"steps"` or `"mixed"`, the demonstrations of the arithmetic levels.
    - `steps_share`: the probability of worked steps in a demonstration with `thinking="mixed"`.
    - `way`: the name of the only way in which steps are demonstrated and recognised; None for all of the level's.
    - `grammar`: whether `continuations` and the action masks allow an answer alone, with or without its marker, and no
      steps.
    - `shared`: whether vocabulary, budget and context length are those of all difficulties together, so that one model
      meets them all.
    - `dataset`: a file (JSON lines, JSON, CSV, Parquet, Arrow), a folder with one called `train` and one called
      `test`, or a name on the Hugging Face hub.
    - `question_field`, `answer_field`: the names of the fields, if the rows are neither in GSM8K's nor in MATH's
      format.
    - `symbolic`: True (the default) to compare a data set's answers by algebra if exact comparison does not decide.
      Arithmetic is never compared by algebra, which would find the question equal to its answer.

    ## Version history
    - v0: first release.
    """

    max_turns = 1

    def __init__(
        self,
        difficulty: str = DEFAULT_LEVEL,
        split: str | None = None,
        seed: int = 0,
        thinking: str = "none",
        steps_share: float = 0.5,
        way: str | None = None,
        grammar: bool = False,
        shared: bool = False,
        dataset: str | PathLike[str] | None = None,
        question_field: str | None = None,
        answer_field: str | None = None,
        symbolic: bool | None = None,
    ):
        self._generator: Arithmetic | Mixture | None = None
        self._vocabulary: tuple[str, ...] | None = None
        self._thinking: Thinking | None = None
        self._grammar = bool(grammar)
        if thinking not in MODES:
            raise ValueError(f"thinking={thinking!r} is none of {', '.join(map(repr, MODES))}")
        if not 0.0 <= steps_share <= 1.0:
            raise ValueError(f"steps_share={steps_share} must lie in [0, 1]: the probability of worked steps")
        if way is not None and thinking == "none":
            raise ValueError(f'way={way!r} names a way to work a problem: use thinking="steps" or "mixed"')
        if dataset is not None and (thinking != "none" or grammar or shared):
            raise ValueError("thinking=, grammar= and shared= are for arithmetic: with dataset= leave them out")
        self._rows: list[tuple[Problem, str]] = []
        if dataset is None:
            if question_field is not None or answer_field is not None:
                raise ValueError("question_field= and answer_field= name fields of a data set: give dataset= too")
            if symbolic:
                raise ValueError(
                    "symbolic=True is for data sets: arithmetic answers are plain numbers, "
                    "and algebra would find the question equal to its answer"
                )
            probabilities = parse_difficulty(difficulty)
            chosen, order = "train" if split is None else split, operator.index(seed)
            (name, *others) = probabilities
            self._generator = Mixture(probabilities, chosen, order) if others else Arithmetic(name, chosen, order)
            levels = [LEVELS[name] for name in probabilities]
            limits = limits_of(LEVELS.values() if shared else levels, thinking != "none")
            self.max_text_bytes, self.max_response_tokens, self._vocabulary = limits
            self._symbolic = False
            if thinking != "none":
                names = dict.fromkeys(name for level in levels for name in way_names(level.example))
                if way is not None and way not in names:
                    raise ValueError(f"way={way!r} is none of {', '.join(map(repr, names))}")
                share = 1.0 if thinking == "steps" else steps_share
                self._thinking = Thinking(share, way, LexiconTokenizer(self._vocabulary))
            return
        if difficulty != DEFAULT_LEVEL:
            raise ValueError(f"difficulty={difficulty!r} is for arithmetic; with dataset= leave it out")
        self._symbolic = symbolic is not False
        if self._symbolic:
            require_symbolic()
        rows = load_problems(dataset, split, question_field=question_field, answer_field=answer_field)
        self._rows = [(row, row.question) for row in rows]
        self.num_problems = len(rows)
        self.max_text_bytes = max(len(row.question.encode()) for row in rows)
        self.max_response_tokens = self.response_budget(ByteTokenizer())

    def problem(self, index: int) -> tuple[Problem, str]:
        """Problem `index`: the state is the problem with its answer, the text is the question."""
        return self.problems([index])[0]

    def problems(self, indices: Sequence[int]) -> list[tuple[Problem, str]]:
        """`problem` for each index; about 0.3 µs each at the default difficulty."""
        if self._generator is not None:
            problems = self._generator.problems(indices)
            return [*zip(problems, map(_QUESTION, problems), strict=True)]
        if any(not 0 <= index < len(self._rows) for index in indices):
            wrong = next(index for index in indices if not 0 <= index < len(self._rows))
            raise IndexError(f"problem {wrong}: the data set has problems 0 to {len(self._rows) - 1}")
        return [self._rows[index] for index in indices]

    def reply(self, state: Problem, response: str, rng: np.random.Generator) -> Reply[Problem]:
        """The score of the response; the episode ends."""
        score = self._scores_of(state, response)[len(response)]
        if self._thinking is not None:
            score = score.metrics(**self._thinking.measures(state.question, response))
        return Reply(state, "", score, True)

    def reply_many(
        self, states: Sequence[Problem], responses: Sequence[str], rngs: Sequence[np.random.Generator]
    ) -> list[Reply[Problem]]:
        """`reply` for each response; about 0.5 µs each for short responses at the default difficulty."""
        if self._thinking is not None:
            return [self.reply(state, said, rng) for state, said, rng in zip(states, responses, rngs, strict=True)]
        # One search for other characters, in all responses together.
        signs_alone = self._generator is not None and not _OTHER.search("".join(responses))
        pairs = zip(states, responses, strict=True)
        if signs_alone:
            scores = [_grade_signs(state.answer, response)[len(response)] for state, response in pairs]
        else:
            scores = [self._scores_of(state, response)[len(response)] for state, response in pairs]
        # Reply(…) without a Python frame for each.
        return [*map(tuple.__new__, repeat(Reply), zip(states, repeat(""), scores, repeat(True)))]

    def _scores_of(self, problem: Problem, response: str) -> _Scores:
        """The best scores of a response beside each of the right answers; right, else undecided, before wrong."""
        scores = [self._grade(answer, response) for answer in (problem.answer, *problem.alternatives)]
        return max(scores, key=_Scores.rank) if len(scores) > 1 else scores[0]

    def _grade(self, answer: str, response: str) -> _Scores:
        """The scores of correct, wrong or unreadable responses, whichever the response is."""
        if self._generator is not None and not _OTHER.search(response):
            return _grade_signs(answer, response)
        # The response may contain prose or mathematics.
        verdict = grade(answer, response, symbolic=self._symbolic)
        if self._generator is None:
            return _ROW_SCORES[verdict.outcome, verdict.answer is not None]
        readable = verdict.answer is not None and is_number(verdict.answer)
        return _CORRECT if verdict.correct else _WRONG if readable else _UNREADABLE

    def success(self, scores: Sequence[Score]) -> bool:
        """True if the answer is correct."""
        return bool(scores) and scores[-1].parts["correct"] == 1.0

    def reply_to_cut(self, state: Problem, response: str, reply: Reply[Problem]) -> Reply[Problem]:
        """For a data set, a final answer that touches the cut is wrong: 18 may be the beginning of 187.

        The answer touches the cut if a further digit would change it.
        """
        if self._generator is not None or not reply.score.parts["correct"]:
            return reply
        answer, longer = (
            grade(state.answer, text, symbolic=self._symbolic).answer for text in (response, response + "7")
        )
        return reply if answer == longer else reply._replace(score=_ROW_SCORES[Outcome.WRONG, True][len(response)])

    def response_budget(self, tokenizer: Tokenizer) -> int:
        """The level's budget; for a data set, room for its longest solution and for reasoning."""
        if self._generator is not None:
            return self.max_response_tokens
        return response_budget(tokenizer, (row.solution for row, _ in self._rows))

    def text_budget(self, tokenizer: Tokenizer) -> int:
        """The tokens of a data set's longest question; for arithmetic, its bytes."""
        if self._generator is not None:
            return self.max_text_bytes
        return most_tokens(tokenizer, (row.question for row, _ in self._rows))

    def demonstrate(self, state: Problem, rng: np.random.Generator) -> str:
        """The answer, or with `thinking` the steps and the answer; for a data set, the worked solution."""
        if self._thinking is not None:
            return self._thinking.demonstrate(state.question, state.answer, rng)
        return state.solution

    def mistake(self, state: Problem, rng: np.random.Generator) -> str:
        """The answer without the carry, the borrow or the sign; for a data set, after the marker `####`.

        Worked steps have an error in one of them, and all that follows is consistent with it.
        """
        careless = common_mistake(state.question, state.answer)
        if self._thinking is not None:
            return self._thinking.mistake(state.question, careless, rng)
        return careless if self._generator is not None else f"#### {careless}"

    def potential(self, state: Problem, partial: str) -> float:
        """The fraction of the answer's characters, from the first on, that the final answer so far has right.

        It is 1 if and only if the final answer so far is the answer. The final answer begins after the last marker, or
        at the beginning of a response without markers. With `thinking`, right steps count, and the answer needs a
        marker.
        """
        if self._thinking is not None:
            right = self._answer_right(state, partial) if _MARKER.search(partial) else 0.0
            return max(self._thinking.progress(state.question, partial), right)
        return self._answer_right(state, partial)

    def _answer_right(self, state: Problem, partial: str) -> float:
        start = 0
        for marker in _MARKER.finditer(partial):
            start = marker.end()
        answer, written = state.answer, partial[start:].lstrip(" ")
        if "," not in answer:  # 1,450 is 1450
            written = written.replace(",", "")
        right = 0
        for one, other in zip(answer, written, strict=False):
            if one != other:
                break
            right += 1
        # Brackets and full stops may follow the answer: 82}$. is right, 827 is not.
        if right == len(answer) and written[right:].partition("\n")[0].strip(" }$.*)"):
            right -= 1
        return right / len(answer)

    def continuations(self, state: Problem, partial: str) -> Collection[str] | None:
        """With `grammar=True`, the tokens of a bare answer: `#### ` or none, and a number; None without."""
        if not self._grammar:
            return None
        assert self._vocabulary is not None
        known = {*self._vocabulary, END_OF_TURN}
        return [token for token in self._answer_tokens(partial) if token in known]

    def _answer_tokens(self, partial: str) -> Collection[str]:
        written = partial.removeprefix(_HASH)
        if not written:
            return (*_DIGITS, "-") if partial else (_HASH, *_DIGITS, "-")
        if written[-1] in "-./":
            return _DIGITS
        return (*_DIGITS, *(() if set("./") & set(written) else "./"), END_OF_TURN)

    @property
    def has_grammar(self) -> bool:
        """True with `grammar=True`."""
        return self._grammar

    def vocabulary(self) -> Sequence[str] | None:
        """Digits, signs, markers, and the words of the word problems; None (bytes) for data sets."""
        return self._vocabulary


def _grade_signs(answer: str, response: str) -> _Scores:
    """The scores of a response of digits, signs and markers alone."""
    if response == answer:
        return _CORRECT
    # A response without a digit at its end, or without a marker before its last number, is rejected at a tenth of the
    # cost of the regular expressions.
    stripped = response.rstrip(_CLOSING)
    if not stripped[-1:].isdigit():
        return _UNREADABLE
    before = stripped.rstrip("0123456789,./ ").rstrip(" *(+-")
    if before and before[-1] not in "=#:":
        return _UNREADABLE
    start = len(before)
    final = _FINAL.fullmatch(response, start)
    if not final or not _MARKED.fullmatch(response, 0, start):
        return _UNREADABLE
    # Most wrong answers are rejected here; a response that looks right may contradict itself further up.
    return _CORRECT if _may_be_equal(answer, final[1]) and _grade_exactly(answer, response) else _WRONG


def _may_be_equal(answer: str, written: str) -> bool:
    """False if two numbers differ: equal numbers round to the same float, since Python rounds correctly."""
    if len(written) > _LONGEST_NUMBER or len(answer) > _LONGEST_NUMBER:
        return True
    return _rounded(answer) == _rounded(written)


def _rounded(number: str) -> float:
    """The float nearest to `3`, `1,450`, `-0.5`, `5/4` or `1 1/4`."""
    number = number.replace(",", "")
    if "/" not in number:
        return float(number)
    mixed, _, denominator = number.partition("/")
    whole, _, numerator = mixed.rpartition(" ")
    below = int(denominator)
    if below == 0:
        return math.nan
    above = abs(int(whole or 0)) * below + abs(int(numerator))
    return (-above if mixed.startswith("-") else above) / below


@lru_cache(maxsize=4096)
def _grade_exactly(answer: str, response: str) -> bool:
    """True if the response is correct without algebra; cached, since a trained policy repeats itself."""
    return grade(answer, response, symbolic=False).correct


class _Scores(dict[int, Score]):
    """The scores of one verdict by the length of the response; cached, since every reply needs one."""

    def __init__(self, correct: bool, readable: bool, undecided: bool | None = None) -> None:
        self._parts = {"correct": float(correct), "format": float(readable)}
        if undecided is not None:
            self._parts["undecided"] = float(undecided)

    def rank(self) -> tuple[float, float]:
        """Orders verdicts on one response: right, undecided, wrong."""
        return self._parts["correct"], self._parts.get("undecided", 0.0)

    def __missing__(self, length: int) -> Score:
        score = Score({**self._parts, "length": float(length)}, {"correct": 1.0})
        if length < _LONGEST_SHARED:
            self[length] = score
        return score


_CORRECT, _WRONG, _UNREADABLE = _Scores(True, True), _Scores(False, True), _Scores(False, False)
#: Scores of data sets by outcome and existence of an answer; arithmetic needs no algebra and is never undecided.
_ROW_SCORES = {
    (outcome, readable): _Scores(outcome is Outcome.RIGHT, readable, outcome is Outcome.UNDECIDED)
    for outcome in Outcome
    for readable in (False, True)
}
