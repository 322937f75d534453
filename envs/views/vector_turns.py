"""Beginnings and ends of turns in many rows at once, and the grading in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from textmdp.envs.core.episode import ENVIRONMENT
from textmdp.envs.core.mdp import Answers, TextMDP
from textmdp.envs.core.randomness import episode_keys
from textmdp.envs.core.task import Future, Reply, S
from textmdp.envs.views.vector_actions import check_ongoing
from textmdp.envs.views.vector_info import mask_of, scatter, scatter_scores
from textmdp.envs.views.vector_rows import TokenRows

_REASONS = np.array(["length", "stop"], object)  # indexed by whether the policy ended the turn itself


class TurnRows(TokenRows[S]):
    """Rows whose turns begin and end by the rules of a `TextMDP`; `TokenVectorEnv` appends the tokens.

    Attributes:
        max_episode_steps: the number of steps that truncates an episode; None for no limit.
    """

    def __init__(self, mdp: TextMDP[S], num_rows: int, max_episode_steps: int | None = None) -> None:
        super().__init__(mdp, num_rows)
        self.max_episode_steps = max_episode_steps
        self._columns = np.arange(mdp.context_length)
        # Constants are arrays, which numpy reads up to three times as fast as numbers.
        self._context_length, self._budget = np.array(mdp.context_length), np.array(mdp.max_response_tokens)

    def _begin(self, rows: NDArray[np.int64], info: dict[str, Any], problems: Any = None) -> None:
        if self._submitted:
            self._discard_submitted(rows.tolist())
        keys = episode_keys(self._roots[rows], self._counts[rows])
        indices = self.mdp.problem_indices(keys, problems)
        texts = self.mdp.begin([self.episodes[row] for row in rows.tolist()], keys, indices)
        openings, lengths = self.mdp.openings(texts)
        width, shape = openings.shape[1], (len(rows), self.mdp.context_length)
        tokens, roles = np.zeros(shape, np.int64), np.zeros(shape, bool)
        tokens[:, :width] = openings
        np.less(self._columns[:width], lengths[:, None], out=roles[:, :width])
        self.tokens[rows] = tokens
        self.roles[rows] = roles  # True is 1, ENVIRONMENT
        self.lengths[rows] = self.turn_starts[rows] = lengths
        self._steps[rows] = 0
        self._terminated[rows] = self._truncated[rows] = False
        columns = {"problem": indices, "turn": np.zeros(len(rows), np.int64), "message": texts}
        scatter(info, rows, mask_of(rows, len(self.episodes)), columns)

    def submit(self, rows: ArrayLike) -> None:
        """Begin to grade the responses of some rows, (m,), that lack only their end-of-turn token.

        The step that ends such a turn awaits the result. Rewards and infos do not change. It saves time for a task that
        overrides `Task.submit`, and does nothing for any other.

        Raises:
            ResetNeeded: an episode is over.
        """
        if not self.mdp.task.slow:
            return
        rows = np.asarray(rows, np.int64)
        check_ongoing(self, rows)
        responses = self.partials(rows)
        pending = self._pending(rows, responses)
        self._submitted.update(zip(rows.tolist(), zip(responses, pending, strict=True), strict=True))

    def _settle(self, added: NDArray[np.int64], stopped: NDArray[np.bool_], rewards: Any, info: Any) -> None:
        """Advance rows by the tokens that were written after them, and end turns and episodes.

        If grading raises, all rows are as before, and the step may be repeated.

        Args:
            added: the number of new tokens of each row, (n,); 0 for rows that are left.
            stopped: the rows whose last token is the end-of-turn token, (n,) bool.
            rewards: the rewards of the step, (n,), to fill in.
            info: the info of the step, to fill in.
        """
        going = added > 0
        self.lengths += added
        self._steps += added
        ended = (stopped | (self.lengths - self.turn_starts == self._budget)) & going
        out = (self.lengths == self._context_length) & going & ~ended
        rows = ended.nonzero()[0]
        if len(rows):
            answers, responses = self._grade(rows, ~stopped[rows], added)
            self._end_turns(rows, stopped[rows], answers, responses, rewards, info)
        if self.mdp.dense:
            self._shape(np.flatnonzero(going & ~ended), rewards)
        if np.count_nonzero(out):  # a third of the time of any()
            self._run_out(np.flatnonzero(out), info)
        if self.max_episode_steps is not None:
            self._truncated |= going & (self._steps >= self.max_episode_steps) & ~self._terminated

    def _grade(
        self, rows: NDArray[np.int64], cut: NDArray[np.bool_], added: NDArray[np.int64]
    ) -> tuple[Answers, list[str]]:
        """The answers to the responses of some rows, (m,), and the responses; an error takes the new tokens back."""
        try:
            responses = self.partials(rows)
            pending = self._pending(rows, responses) if self._submitted else None
            episodes = [self.episodes[row] for row in rows.tolist()]
            return self.mdp.answers(episodes, responses, cut.tolist(), pending), responses
        except BaseException:
            self.lengths -= added
            self._steps -= added
            unwritten = self._columns >= self.lengths[:, None]
            self.tokens[unwritten] = 0
            self.roles[unwritten] = 0
            raise

    def _end_turns(
        self,
        rows: NDArray[np.int64],
        stopped: NDArray[np.bool_],
        answers: Answers,
        responses: list[str],
        rewards: Any,
        info: Any,
    ) -> None:
        rewards[rows] = answers.rewards
        self._terminated[rows] = answers.dones
        self.turn_starts[rows] = self.lengths[rows]
        reasons = _REASONS[stopped.view(np.int8)]
        if not all(answers.dones) or any(answers.messages):
            self._append_replies(rows, answers.messages, reasons.tolist(), answers.dones)
        columns = {
            "turn": np.array(answers.turns),
            "finish_reason": reasons,
            "response": responses,
            "message": answers.messages,
            "is_success": np.array(answers.successes),
        }
        mask = mask_of(rows, len(self.episodes))
        scatter(info, rows, mask, columns)
        scatter_scores(info, rows, mask, [score.parts for score in answers.scores])

    def _pending(self, rows: NDArray[np.int64], responses: list[str]) -> list[Future[Reply[S]]]:
        """The futures of the replies to these responses: those submitted before, and new ones for the others."""
        found: list[Future[Reply[S]] | None] = []
        for row, response in zip(rows.tolist(), responses, strict=True):
            submitted, future = self._submitted.pop(row, ("", None))
            found.append(future if submitted == response else None)
        new = [i for i, future in enumerate(found) if future is None]
        submitted_now = iter(self.mdp.submit([self.episodes[rows[i]] for i in new], [responses[i] for i in new]))
        return [next(submitted_now) if future is None else future for future in found]

    def _append_replies(
        self, rows: NDArray[np.int64], messages: Sequence[str], reasons: list[str], dones: Sequence[bool]
    ) -> None:
        """Append the environment's replies."""
        for row, text, reason, done in zip(rows.tolist(), messages, reasons, dones, strict=True):
            start = int(self.lengths[row])
            ids, self._truncated[row] = self.mdp.append_reply(text, reason, done, self.mdp.context_length - start)
            stop = start + len(ids)
            self.tokens[row, start:stop] = ids
            self.roles[row, start:stop] = ENVIRONMENT
            self.lengths[row] = self.turn_starts[row] = stop

    def _run_out(self, rows: NDArray[np.int64], info: dict[str, Any]) -> None:
        self._truncated[rows] = True
        columns = {
            "turn": [self.episodes[row].turn for row in rows.tolist()],
            "finish_reason": ["context"] * len(rows),
            "response": self.partials(rows),
            "is_success": np.zeros(len(rows), bool),
        }
        scatter(info, rows, mask_of(rows, len(self.episodes)), columns)

    def _shape(self, rows: NDArray[np.int64], rewards: NDArray[np.float64]) -> None:
        for row, partial in zip(rows.tolist(), self.partials(rows), strict=True):
            episode = self.episodes[row]
            rewards[row] = self.mdp.shape(episode, self.mdp.task.potential(episode.state, partial))
