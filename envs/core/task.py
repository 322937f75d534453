"""A task: a Markov decision process in plain text, and the ledger of rewards it keeps.

A task says something, gets a response, and answers with a score and perhaps more text. It knows nothing of tokens,
tensors or Gymnasium: `TokenEnv`, `ResponseEnv` and `TokenVectorEnv` are views of it. To write one, implement
`problem`, `reply` and `demonstrate`; the rest has defaults.

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
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from typing_extensions import NamedTuple  # which may be generic before Python 3.11

S = TypeVar("S")

#: What `Task.continuations` puts into its answer to allow the end of the turn.
END_OF_TURN = ""


@dataclass(frozen=True, slots=True)
class Score:
    """What one response earned: named parts, and the weight of each in the reward.

    A part that has no weight is a metric: it is shown, and adds nothing.
    """

    parts: Mapping[str, float]
    weights: Mapping[str, float] = field(default_factory=dict)
    #: The reward: the weighted sum of the parts.
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
        """The same score with further parts that add nothing to the reward."""
        return Score({**self.parts, **metrics}, self.weights)

    def __hash__(self) -> int:
        return hash((frozenset(self.parts.items()), frozenset(self.weights.items())))


class Reply(NamedTuple, Generic[S]):
    """The answer to one response: the next hidden state, what is said back, what was earned, and whether it ends."""

    state: S
    text: str
    score: Score
    done: bool


class Task(ABC, Generic[S]):
    """A Markov decision process in plain text, with hidden states of type `S`: immutable, picklable and hashable.

    Every method is a pure function of its arguments (and of what the constructor was given), so that a snapshot is
    small and complete, branches are free, and a transcript can be scored again offline.

    Attributes:
        num_problems: how many numbered problems there are; None when the supply has no end.
        max_turns: the most responses that one episode can take.
        max_response_tokens: the budget of one response, in tokens; a rule of the task: a longer one is cut there and
            graded as it stands.
        max_text_bytes: the most UTF-8 bytes that the task says in one episode, over all turns. Room for
            the context is reserved from it, since no tokenizer in use makes more tokens than bytes.
        full_marks: the undiscounted return of an expert.
        slow: whether replies take so long that rollouts should tell of responses ahead, see `expect`.
    """

    num_problems: int | None = None
    max_turns: int = 1
    max_response_tokens: int = 64
    max_text_bytes: int = 1024
    full_marks: float = 1.0
    slow: bool = False

    @abstractmethod
    def problem(self, index: int) -> tuple[S, str]:
        """Problem `index` (from 0; below `num_problems` where that is set): the hidden state and the opening text."""

    def problems(self, indices: Sequence[int]) -> list[tuple[S, str]]:
        """Many problems at once, the same as `problem` gives one by one; override where batching pays."""
        return [self.problem(index) for index in indices]

    @abstractmethod
    def reply(self, state: S, response: str, rng: np.random.Generator) -> Reply[S]:
        """What `response` earns in `state`, and what is said back.

        Depends on its arguments alone; `rng` is the one source of chance, made anew for every turn from the episode's
        key, so that the same turn can be played again with the same noise.
        """

    def reply_many(
        self, states: Sequence[S], responses: Sequence[str], rngs: Sequence[np.random.Generator]
    ) -> list[Reply[S]]:
        """Many replies at once, the same as `reply` gives one by one; override where batching pays.

        `rngs` makes a generator when it is asked for one: a task without chance never pays for it.
        """
        return [self.reply(state, response, rng) for state, response, rng in zip(states, responses, rngs, strict=True)]

    def expect(self, states: Sequence[S], responses: Sequence[str]) -> None:
        """Replies to these responses will be asked for soon: a slow task may begin with them, and say nothing yet.

        What `reply` gives must be the same, whether it was told or not.
        """

    def close(self) -> None:
        """Let go of what is held beside memory, such as processes: a view that is closed asks for it.

        The task may be used again, by another view: it takes what it needs anew.
        """

    @abstractmethod
    def demonstrate(self, state: S, rng: np.random.Generator) -> str:
        """What an expert would answer now. It earns full marks by the end of the episode."""

    def mistake(self, state: S, rng: np.random.Generator) -> str:
        """A plausible mistake: what somebody careless would answer now. It may be right where care makes no difference.

        Demonstrations that learners copy mistakes from are made of it.
        """
        raise TypeError(
            f"{type(self).__name__} knows no mistakes to demonstrate: override Task.mistake(state, rng), "
            "or imitate a perfect expert with mistake_rate=0"
        )

    def potential(self, state: S, partial: str) -> float:
        """Progress of the unfinished response `partial`, in any unit: what `reward="dense"` shapes the reward with."""
        raise TypeError(
            f'{type(self).__name__} has no potential, so reward="dense" has nothing to shape with; '
            'use reward="sparse", or override Task.potential(state, partial)'
        )

    def continuations(self, state: S, partial: str) -> Collection[str] | None:
        """The tokens that may follow `partial` where the task has a grammar (`END_OF_TURN` ends it); None for any."""
        return None

    @property
    def has_grammar(self) -> bool:
        """Whether `continuations` is asked at all."""
        return type(self).continuations is not Task.continuations

    def vocabulary(self) -> Sequence[str] | None:
        """The tokens of the task's own compact tokenizer; None for bytes."""
        return None
