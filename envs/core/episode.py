"""The state of an episode, and snapshots of it.

The state of a text MDP has two halves. `Episode` is the textual half, which the task reads: its hidden state, the
messages and the scores. The other half is an append-only row of token ids with one of roles; the views keep it, as
arrays of their own or as rows of a vector environment's arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from textmdp.envs.core.task import S, Score

#: The role of a position in the token row: padding, a token of the environment (prompt, user), or of the policy.
PADDING, ENVIRONMENT, POLICY = 0, 1, 2


@dataclass(slots=True)
class Episode(Generic[S]):
    """The textual half of an episode in progress; blank until `TextMDP.begin` fills it.

    Attributes:
        key: the source of all randomness in the episode (`textmdp.envs.core.randomness`).
        problem: the number of the problem in its split.
        state: the task's hidden state.
        messages: the texts of environment and policy in turn; the environment writes the first.
        scores: the scores of the finished turns.
        potential: the potential of the state and the unfinished response; 0 if rewards are sparse.
    """

    key: int = 0
    problem: int = 0
    state: S = None  # type: ignore[assignment]  # a blank episode has none
    messages: tuple[str, ...] = ()
    scores: tuple[Score, ...] = ()
    potential: float = 0.0

    @property
    def turn(self) -> int:
        """The number of finished turns."""
        return len(self.scores)

    def copy(self) -> Episode[S]:
        """An independent copy."""
        return Episode(self.key, self.problem, self.state, self.messages, self.scores, self.potential)

    def chat(self, partial: str = "") -> list[dict[str, str]]:
        """The messages in the format of chat clients: `{"role": "user" | "assistant", "content": …}` in turn.

        Args:
            partial: the unfinished response, which is appended unless it is empty.
        """
        texts = (*self.messages, partial) if partial else self.messages
        chat = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]
        return chat if chat[-1]["content"] or len(chat) == 1 else chat[:-1]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot(Generic[S]):
    """The complete state of an episode, for any view of the same task with the same tokenizer; picklable.

    Attributes:
        episode: a copy of the textual half; read-only.
        tokens: the token ids so far, (length,) int64.
        roles: their roles, (length,) int8: 1 environment, 2 policy.
        turn_start: the position at which the unfinished response begins.
        root: the random number that the seeding drew; later episodes are derived from it and `count`.
        count: the number of this episode since the seeding, from 0.
        steps: the number of environment steps in this episode.
        terminated: True if the task is over.
        truncated: True if a limit of the machine ended the episode.
    """

    episode: Episode[S]
    tokens: NDArray[np.int64]
    roles: NDArray[np.int8]
    turn_start: int
    root: int
    count: int
    steps: int
    terminated: bool
    truncated: bool

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Snapshot):
            return NotImplemented
        same = all(getattr(self, name) == getattr(other, name) for name in self.__slots__ if name not in _ARRAYS)
        return same and all(np.array_equal(getattr(self, name), getattr(other, name)) for name in _ARRAYS)

    def __hash__(self) -> int:
        return hash((self.episode.key, self.tokens.tobytes(), self.root, self.count, self.steps))


_ARRAYS = ("tokens", "roles")
