"""One episode: what has been said, what it earned, and what a snapshot keeps of it.

The state of a text MDP has two halves. The textual half, `Episode`, is what the task sees: its hidden state, the
messages in turn, the ledger of scores. The token half is one append-only row of token ids and one of roles; it is kept
by the views, as a row of its own or as a row of a vector environment's arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from textmdp.envs.core.task import S, Score

#: What a position of the token row holds: nothing, the environment's words (prompt, user), or the policy's.
PADDING, ENVIRONMENT, POLICY = 0, 1, 2


@dataclass(slots=True)
class Episode(Generic[S]):
    """The textual half of an episode in progress; blank until `TextMDP.begin` fills it.

    Attributes:
        key: what all chance in the episode is derived from (`textmdp.envs.core.randomness`).
        problem: the number of the problem in its split.
        state: the task's hidden state.
        messages: what was said, the environment first, then in turn.
        scores: the ledger, one entry a finished turn.
        potential: of the state and the unfinished response; 0 where rewards are sparse.
    """

    key: int = 0
    problem: int = 0
    state: S = None  # type: ignore[assignment]  # a blank episode has none
    messages: tuple[str, ...] = ()
    scores: tuple[Score, ...] = ()
    potential: float = 0.0

    @property
    def turn(self) -> int:
        """Finished turns so far."""
        return len(self.scores)

    def copy(self) -> Episode[S]:
        """An episode that can go another way from here."""
        return Episode(self.key, self.problem, self.state, self.messages, self.scores, self.potential)

    def chat(self, partial: str = "") -> list[dict[str, str]]:
        """The messages as chat clients want them: `{"role": "user" | "assistant", "content": …}`, in turn."""
        said = (*self.messages, partial) if partial else self.messages
        chat = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(said)]
        return chat if chat[-1]["content"] or len(chat) == 1 else chat[:-1]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot(Generic[S]):
    """All that it takes to go on from here, in any view of the same task with the same tokenizer; picklable.

    Attributes:
        episode: a copy of the textual half; not to be changed.
        tokens: the token ids so far, (length,) int64.
        roles: whose they are, (length,) int8: 1 environment, 2 policy.
        turn_start: where the unfinished response begins.
        root: what the seeding drew; later episodes follow from it and `count`.
        count: the number of this episode since the seeding.
        steps: environment steps taken in this episode.
        terminated: the task is over.
        truncated: the machine's limits ended the episode.
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
