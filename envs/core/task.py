"""The base class of tasks: a Markov decision process in plain text, with scores made of named parts.

A task opens an episode with a text, takes a response, and replies with a score and, in a dialogue, more text. Tokens,
tensors and Gymnasium belong to the views (`TokenEnv`, `ResponseEnv`, `TokenVectorEnv`). To write a task, implement
`problem`, `reply` and `demonstrate`; everything else has a default.

```python
class Echo(Task[str]):
    num_problems = 2

    def problem(self, index: int) -> tuple[str, str]:
        word = ("yes", "no")[index]
        return word, f"say {word}: "

    def reply(self, state: str, response: str, rng: np.random.Generator) -> Reply[str]:
        return Reply(state, "", Score.of(correct=float(response == state)), done=True)

    def demonstrate(self, state: str, rng: np.random.Generator) -> str:
        return state
```
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
from typing_extensions import NamedTuple  # which may be generic before Python 3.11

if TYPE_CHECKING:
    from textmdp.envs.tokenizers import Tokenizer

S = TypeVar("S")
T_co = TypeVar("T_co", covariant=True)

_ROUNDING = 1e-9

#: The entry of `Task.continuations` that allows the end of the turn.
END_OF_TURN = ""


@dataclass(frozen=True, slots=True)
class Score:
    """The score of one response: named parts, and the weight of each part in the reward.

    A part without a weight is a metric: it appears in `info["score"]` and adds nothing to the reward.

    Attributes:
        parts: the value of each part.
        weights: the weights of the parts that make the reward.
        total: the reward, the weighted sum of the parts.

    Raises:
        ValueError: a weight has no part of its name, or the total is not finite.
    """

    parts: Mapping[str, float]
    weights: Mapping[str, float] = field(default_factory=dict)
    total: float = field(init=False)

    def __post_init__(self) -> None:
        unknown = self.weights.keys() - self.parts.keys()
        if unknown:
            raise ValueError(f"weights for parts that the score lacks: {sorted(unknown)}; parts: {sorted(self.parts)}")
        object.__setattr__(self, "parts", {name: float(value) for name, value in self.parts.items()})
        total = float(sum(self.parts[name] * weight for name, weight in self.weights.items()))
        if not math.isfinite(total):
            raise ValueError(f"a reward must be finite, got {total} from {dict(self.parts)}")
        object.__setattr__(self, "total", total)

    @classmethod
    def of(cls, **rewards: float) -> Score:
        """A score in which every part counts with weight one."""
        return cls(rewards, dict.fromkeys(rewards, 1.0))

    def metrics(self, **metrics: float) -> Score:
        """A copy of the score with further parts that have no weight."""
        return Score({**self.parts, **metrics}, self.weights)

    def __hash__(self) -> int:
        return hash((frozenset(self.parts.items()), frozenset(self.weights.items())))


class Reply(NamedTuple, Generic[S]):
    """The reply to one response."""

    state: S
    """The next hidden state."""
    text: str
    """The next message of the environment; "" for none."""
    score: Score
    """The score of the response."""
    done: bool = None  # type: ignore[assignment]  # so that its absence is an error with the fix
    """True if the episode terminates; it must be given."""


class Outcome(NamedTuple, Generic[S]):
    """One of the possible replies to a response."""

    probability: float
    """Its probability, above 0; those of all outcomes add up to 1."""
    reply: Reply[S]
    """The reply."""


class Future(Protocol[T_co]):
    """A result that may still be computed: a `concurrent.futures.Future`, or any object with these two methods."""

    def result(self) -> T_co:
        """Wait for the result and return it, or raise the error that prevented it."""

    def cancel(self) -> object:
        """Give the result up; `result` then raises."""


class Task(ABC, Generic[S]):
    """A Markov decision process in plain text with hidden states of type `S`: immutable, picklable and hashable.

    Every method is a pure function of its arguments and of the constructor's. Snapshots are therefore small and
    complete, branches cost nothing, and transcripts can be scored again offline.

    Attributes:
        num_problems: the number of problems; None if they are unlimited.
        max_turns: the maximum number of responses in one episode.
        max_response_tokens: the budget of one response, in tokens of the task's own tokenizer. The budget is a rule of
            the task: a response that reaches it is cut there and graded; see `response_budget` and `reply_to_cut`.
        max_text_bytes: the maximum number of UTF-8 bytes that the task writes in one episode, over all turns. The
            context length is derived from it, since a tokenizer makes at most one token of a byte.
        max_text_tokens: the same in tokens of the task's own tokenizer, where that gives a shorter context; None for a
            token a byte.
        full_marks: the return of an expert, penalties (negative contributions to a reward) left out; None if unknown,
            which needs a `success` of the task's own.
    """

    num_problems: int | None = None
    max_turns: int = 1
    max_response_tokens: int = 64
    max_text_bytes: int = 1024
    max_text_tokens: int | None = None
    full_marks: float | None = 1.0

    @abstractmethod
    def problem(self, index: int) -> tuple[S, str]:
        """The hidden state and the opening text of problem `index`, from 0 and below `num_problems`."""

    def problems(self, indices: Sequence[int]) -> list[tuple[S, str]]:
        """`problem` for each index; override it where a batch is cheaper."""
        return [self.problem(index) for index in indices]

    @abstractmethod
    def reply(self, state: S, response: str, rng: np.random.Generator) -> Reply[S]:
        """The reply to `response` in `state`.

        The reply depends on the arguments alone. `rng` is the only source of randomness; every turn gets a new one,
        derived from the episode's key, so that a turn can be replayed with the same noise.
        """

    def outcomes(self, state: S, response: str) -> Sequence[Outcome[S]]:
        """The possible replies to `response` in `state`, with their probabilities: the distribution of `reply`.

        Exact values are computed from it. The default is right for tasks whose replies draw no random numbers.

        Raises:
            TypeError: `reply` draws random numbers, and the task doesn't override this method.
        """
        return [Outcome(1.0, self.reply(state, response, _NoChance(type(self).__name__)))]  # type: ignore[arg-type]

    def reply_many(
        self, states: Sequence[S], responses: Sequence[str], rngs: Sequence[np.random.Generator]
    ) -> list[Reply[S]]:
        """`reply` for each response; override it where a batch is cheaper.

        `rngs` makes a generator when it is indexed, so a deterministic task never pays for one. A task that overrides
        `submit` gets its replies from there.
        """
        if type(self).submit is not Task.submit:
            return await_replies(self.submit(states, responses, rngs))
        return [self.reply(state, response, rng) for state, response, rng in zip(states, responses, rngs, strict=True)]

    def submit(
        self, states: Sequence[S], responses: Sequence[str], rngs: Sequence[np.random.Generator]
    ) -> Sequence[Future[Reply[S]]]:
        """Begin to grade responses: a future for each reply.

        Override it where grading takes long and can run in the background, such as in other processes; views then
        overlap grading with decoding (`TokenVectorEnv.submit`). The replies must be those of `reply`. By default they
        are computed at once, by `reply_many`.
        """
        done: list[Future[Reply[S]]] = []
        for reply in self.reply_many(states, responses, rngs):
            future: futures.Future[Reply[S]] = futures.Future()
            future.set_result(reply)
            done.append(future)
        return done

    @property
    def slow(self) -> bool:
        """True if the task overrides `submit`, so that submitting a response early saves time."""
        return type(self).submit is not Task.submit

    def reply_to_cut(self, state: S, response: str, reply: Reply[S]) -> Reply[S]:
        """The reply to a response that its budget cut.

        `reply` is the reply to the same text as a complete response, and the default. Override it where a response
        could earn full marks only because it was cut, such as 18 out of 187.
        """
        return reply

    def response_budget(self, tokenizer: Tokenizer) -> int:
        """The budget of one response in tokens of `tokenizer`, its end-of-turn token included.

        By default it is `max_response_tokens`, whatever the tokenizer.
        """
        return self.max_response_tokens

    def text_budget(self, tokenizer: Tokenizer) -> int:
        """The maximum number of tokens of `tokenizer` that the task writes in one episode, over all turns.

        The context length is derived from it. By default it is `max_text_bytes`, since a tokenizer makes at most one
        token of a byte; override it where the texts are known, as those of a data set are.
        """
        return self.max_text_bytes

    def success(self, scores: Sequence[Score]) -> bool:
        """True if an episode with these scores, one a turn, solved its problem.

        By default it did if its positive contributions (part times weight) add up to `full_marks`: penalties and the
        shaping of `reward="dense"` change the return, and not the success. Override it where certain parts decide,
        whatever their weights.
        """
        if self.full_marks is None:
            raise TypeError(f"{type(self).__name__} has no full_marks: override Task.success(scores)")
        parts = (score.parts[name] * weight for score in scores for name, weight in score.weights.items())
        return sum(part for part in parts if part > 0) >= self.full_marks - _ROUNDING

    def close(self) -> None:
        """Release resources other than memory, such as processes; `close` of a view calls it.

        The task stays usable: another view acquires what it needs again.
        """

    @abstractmethod
    def demonstrate(self, state: S, rng: np.random.Generator) -> str:
        """The response of an expert in `state`; an episode of such responses earns full marks."""

    def mistake(self, state: S, rng: np.random.Generator) -> str:
        """A plausible wrong response in `state`, for demonstrations with mistakes.

        It may be right where the careless and the careful answer coincide.

        Raises:
            TypeError: the task has none.
        """
        raise TypeError(
            f"{type(self).__name__} has no mistakes to demonstrate: override Task.mistake(state, rng), "
            "or imitate a perfect expert with mistake_rate=0"
        )

    def potential(self, state: S, partial: str) -> float:
        """The progress of the unfinished response `partial`, in any unit: the potential of `reward="dense"`.

        Raises:
            TypeError: the task has none.
        """
        raise TypeError(
            f'{type(self).__name__} has no potential, so reward="dense" has nothing to shape with; '
            'use reward="sparse", or override Task.potential(state, partial)'
        )

    def continuations(self, state: S, partial: str) -> Collection[str] | None:
        """The tokens that the task's grammar allows after `partial` (`END_OF_TURN` ends the turn); None for any."""
        return None

    @property
    def has_grammar(self) -> bool:
        """True if views must ask `continuations`."""
        return type(self).continuations is not Task.continuations

    def vocabulary(self) -> Sequence[str] | None:
        """The tokens of the task's own compact tokenizer; None for bytes."""
        return None


class _NoChance:
    """A generator that refuses to draw."""

    def __init__(self, task: str) -> None:
        self._task = task

    def __getattr__(self, name: str) -> object:
        raise TypeError(
            f"the replies of {self._task} draw random numbers (rng.{name}), so their probabilities are unknown: "
            "override Task.outcomes(state, response)"
        )


def check_replies(task: Task[Any], replies: Sequence[Any]) -> None:
    """Raise a `TypeError` if one of the replies of a task is no whole `Reply`."""
    for reply in replies:
        if not isinstance(reply, Reply):
            raise TypeError(
                f"{type(task).__name__}.reply returned {reply!r}, which is no Reply: "
                "return Reply(state, text, score, done)"
            )
        if reply.done is None:
            raise TypeError(
                f"{type(task).__name__}.reply returned a Reply without done: give done=True where the episode ends, "
                "done=False where it goes on"
            )


def await_replies(pending: Sequence[Future[Reply[S]]]) -> list[Reply[S]]:
    """The results of futures, in order; an error or an interrupt cancels all of them."""
    try:
        return [future.result() for future in pending]
    except BaseException:
        for future in pending:
            future.cancel()
        raise
