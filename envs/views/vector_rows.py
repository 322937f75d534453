"""The states of many episodes as arrays, with snapshots and branches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Generic

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from textmdp.envs.core.episode import Episode, Snapshot
from textmdp.envs.core.mdp import TextMDP
from textmdp.envs.core.randomness import branch_key
from textmdp.envs.core.task import Future, Reply, S
from textmdp.envs.views.text_env import check_compatible


class TokenRows(Generic[S]):
    """The states of n episodes: an array for each quantity, a row for each episode.

    Args:
        mdp: the rules of the episodes.
        num_rows: the number of rows (n).

    Attributes:
        mdp: the rules of the episodes.
        tokens: the token ids, (n, T) int64, 0 after the end of a row; read-only.
        roles: their roles, (n, T) int8: 0 padding, 1 environment, 2 policy; read-only.
        lengths: the number of tokens of each row, (n,) int64; read-only.
        turn_starts: the position at which the unfinished response of each row begins, (n,) int64; read-only.
        episodes: the textual halves of the states; a row's next episode overwrites the last one, so keep a `copy()`.
    """

    def __init__(self, mdp: TextMDP[S], num_rows: int) -> None:
        self.mdp = mdp
        shape = num_rows, mdp.context_length
        self.tokens = np.zeros(shape, np.int64)
        self.roles = np.zeros(shape, np.int8)
        self.lengths = np.zeros(num_rows, np.int64)
        self.turn_starts = np.zeros(num_rows, np.int64)
        self.episodes: list[Episode[S]] = []
        self._roots = np.zeros(num_rows, np.uint64)
        self._counts = np.zeros(num_rows, np.uint64)
        self._steps = np.zeros(num_rows, np.int64)
        self._terminated = np.zeros(num_rows, bool)
        self._truncated = np.zeros(num_rows, bool)
        self._all_rows = np.arange(num_rows)
        #: Responses that are being graded ahead of their end, by row.
        self._submitted: dict[int, tuple[str, Future[Reply[S]]]] = {}

    @property
    def over(self) -> NDArray[np.bool_]:
        """True for the rows whose episode terminated or was truncated, (n,)."""
        return self._terminated | self._truncated

    def partials(self, rows: NDArray[np.int64]) -> list[str]:
        """The unfinished responses of some rows, (m,)."""
        if not len(rows):
            return []
        starts = self.turn_starts[rows]
        lengths = self.lengths[rows] - starts
        cells = (rows * self.mdp.context_length + starts)[:, None] + np.arange(lengths.max())
        # Cells after a response may lie outside the array; "clip" reads others instead, and `lengths` excludes them.
        return self.mdp.tokenizer.decode_block(self.tokens.reshape(-1).take(cells, mode="clip"), lengths)

    def action_masks(self) -> NDArray[np.bool_]:
        """The legal next tokens of every row, (n, V)."""
        return self.masks_of(self._all_rows)

    def masks_of(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """The legal next tokens of some rows, (m,): (m, V)."""
        partials = self.partials(rows)
        episodes = [self.episodes[row] for row in rows.tolist()]
        return np.stack([self.mdp.action_mask(*pair) for pair in zip(episodes, partials, strict=True)])

    @property
    def rng_state(self) -> tuple[list[int], list[int]]:
        """The roots and the episode counts of the rows, from which resets without a seed continue; may be set."""
        return self._roots.tolist(), self._counts.tolist()

    @rng_state.setter
    def rng_state(self, state: tuple[list[int], list[int]]) -> None:
        self._roots[:], self._counts[:] = state
        if not self.episodes:  # otherwise a first reset without a seed would draw new roots
            self.episodes = [Episode() for _ in self._all_rows]

    def snapshot(self, rows: Iterable[int] | None = None) -> list[Snapshot[S]]:
        """Snapshots of some rows; of all if None.

        Raises:
            ResetNeeded: there is no episode yet.
        """
        if not self.episodes:
            raise gym.error.ResetNeeded("there is nothing to take a snapshot of: call reset() first")
        return [
            Snapshot(
                self.episodes[row].copy(),
                self.tokens[row, : self.lengths[row]].copy(),
                self.roles[row, : self.lengths[row]].copy(),
                int(self.turn_starts[row]),
                int(self._roots[row]),
                int(self._counts[row]),
                int(self._steps[row]),
                bool(self._terminated[row]),
                bool(self._truncated[row]),
            )
            for row in (self._all_rows.tolist() if rows is None else rows)
        ]

    def restore(self, snapshots: Sequence[Snapshot[S]], rows: Sequence[int] | None = None, noise: int = 0) -> None:
        """Continue rows from snapshots.

        Args:
            snapshots: one for each row, taken from any view of the same task with the same tokenizer.
            rows: the rows to overwrite; None for all.
            noise: 0 repeats the random numbers that followed the snapshot; any other integer replaces them.

        Raises:
            ResetNeeded: other rows have no episode yet.
            ValueError: a snapshot does not fit the context or the vocabulary.
        """
        targets = self._all_rows.tolist() if rows is None else rows
        if not self.episodes and sorted(targets) != self._all_rows.tolist():
            raise gym.error.ResetNeeded("other rows have no episode yet: call reset() first")
        if not self.episodes:
            self.episodes = [snapshot.episode for snapshot in snapshots]
        self._discard_submitted(targets)
        for row, snapshot in zip(targets, snapshots, strict=True):
            check_compatible(snapshot, self.mdp)
            self.episodes[row] = snapshot.episode.copy()
            self.episodes[row].key = branch_key(snapshot.episode.key, noise)
            length = len(snapshot.tokens)
            for array, saved in ((self.tokens, snapshot.tokens), (self.roles, snapshot.roles)):
                array[row, :length] = saved
                array[row, length:] = 0
            self.lengths[row], self.turn_starts[row] = length, snapshot.turn_start
            self._roots[row], self._counts[row] = snapshot.root, snapshot.count
            self._steps[row] = snapshot.steps
            self._terminated[row], self._truncated[row] = snapshot.terminated, snapshot.truncated

    def branch(self, sources: ArrayLike, targets: ArrayLike, noise: Sequence[int] | None = None) -> None:
        """Copy the episodes of some rows to others.

        Args:
            sources: the rows to copy, (m,); a row may occur k times, for k branches.
            targets: the rows to overwrite, (m,).
            noise: for each target, 0 (the default) to repeat the random numbers that follow, or another integer to
                replace them.
        """
        sources, targets = np.asarray(sources), np.asarray(targets)
        if sources.shape != targets.shape or sources.ndim != 1:
            raise ValueError(f"sources {sources.shape} and targets {targets.shape} must be two rows of one length")
        self._discard_submitted(targets.tolist())
        copies = [self.episodes[source].copy() for source in sources.tolist()]
        for target, copy, number in zip(targets.tolist(), copies, noise or [0] * len(copies), strict=True):
            copy.key = branch_key(copy.key, number)
            self.episodes[target] = copy
        arrays: tuple[NDArray[Any], ...] = (self.tokens, self.roles, self.lengths, self.turn_starts)
        for array in (*arrays, self._roots, self._counts, self._steps, self._terminated, self._truncated):
            array[targets] = array[sources]

    def _discard_submitted(self, rows: Iterable[int]) -> None:
        """Drop the futures of rows that continue from another state."""
        for row in rows:
            self._submitted.pop(row, None)
