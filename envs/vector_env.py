"""The token view of many episodes at once: preallocated arrays, and Python work only where a turn ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Generic

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from textmdp.envs import rendering
from textmdp.envs.episode import ENVIRONMENT, POLICY, Episode, Snapshot
from textmdp.envs.mdp import TextMDP
from textmdp.envs.randomness import draw_root, episode_keys, fresh_key
from textmdp.envs.task import S, Task
from textmdp.envs.text_env import check_fit, check_options
from textmdp.envs.vector_info import scatter, scatter_ledgers, split_finals

Observations = dict[str, NDArray[Any]]
_REASONS = np.array(["length", "stop"], object)  # by whether the end-of-turn token was said
Step = tuple[Observations, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]


class TokenVectorEnv(VectorEnv[Observations, NDArray[np.int64], NDArray[Any]], Generic[S]):
    """n episodes of a task, token by token: bit for bit what n `TokenEnv`s give, infos included.

    A step writes one column; rows whose turn ended are decoded, graded and continued together. Its cost doesn't grow
    with the length so far.

    Args:
        task: the task.
        num_envs: rows (n).
        autoreset_mode: when a finished row begins anew. `NEXT_STEP`: at the next step, whose action is ignored;
            `SAME_STEP`: at once, with the last observation and info in `final_obs` and `final_info`; `DISABLED`: when
            you `reset(options={"reset_mask": mask})`, what rollouts of language models want, together with `step_rows`.
        copy: whether observations are copies, or views of the arrays that the next step writes on.
        max_episode_steps: truncate after so many steps.
        tokenizer, max_response_tokens, context_length, reward, shaping_discount: see `TextMDP`.
        render_mode: None or "ansi".

    Attributes:
        tokens: (n, L) int64; `roles`: (n, L) int8; `lengths`: (n,): the states, not to be changed.
        turn_starts: (n,), where the unfinished response of each row begins.
        episodes: the textual halves, n of them.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012  # as Gymnasium has it

    def __init__(
        self,
        task: Task[S],
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        copy: bool = True,
        max_episode_steps: int | None = None,
        tokenizer: Any = None,
        max_response_tokens: int | None = None,
        context_length: int | None = None,
        reward: str = "sparse",
        shaping_discount: float = 1.0,
        render_mode: str | None = None,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs={num_envs} must be at least 1")
        if render_mode not in (None, "ansi"):
            raise ValueError(f'render_mode={render_mode!r} is not "ansi" or None')
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.mdp = TextMDP(task, tokenizer, max_response_tokens, context_length, reward, shaping_discount)
        self.num_envs, self.copy, self.render_mode = num_envs, copy, render_mode
        self.max_episode_steps = max_episode_steps
        self.single_observation_space = self.mdp.token_observations()
        self.single_action_space = spaces.Discrete(self.mdp.tokenizer.vocab_size)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

        shape = num_envs, self.mdp.context_length
        self.tokens = np.zeros(shape, np.int64)
        self.roles = np.zeros(shape, np.int8)
        self.lengths = np.zeros(num_envs, np.int64)
        self.turn_starts = np.zeros(num_envs, np.int64)
        self.episodes: list[Episode[S]] = []
        self._roots = np.zeros(num_envs, np.uint64)
        self._counts = np.zeros(num_envs, np.uint64)
        self._steps = np.zeros(num_envs, np.int64)
        self._terminated = np.zeros(num_envs, bool)
        self._truncated = np.zeros(num_envs, bool)
        self._all_rows = np.arange(num_envs)

    # Gymnasium

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Begin episodes in all rows, or in those of a mask.

        Args:
            seed: seeds row i with `seed + i`, or a list of one seed a row.
            options: `{"problem": i}`, a number or one for each row; `{"reset_mask": mask}`, (n,) bool, for some rows.
        """
        options = dict(options or {})
        rows = self._masked_rows(options.pop("reset_mask", None))
        wanted = check_options(options).get("problem")
        if wanted is not None and np.ndim(wanted) == 1:
            if len(wanted) != self.num_envs:
                raise ValueError(f"options['problem'] has {len(wanted)} numbers for {self.num_envs} environments")
            wanted = np.asarray(wanted)[rows]
        fresh = not self.episodes
        if fresh and len(rows) < self.num_envs:
            raise gym.error.ResetNeeded("the first reset() begins all rows: call it without a reset_mask")
        seeds = self._seeds(seed)
        if fresh:
            self.episodes = [None] * self.num_envs  # type: ignore[list-item]  # begun below
            if seed is None:
                seeds = self.np_random.integers(2**63, size=self.num_envs).tolist()
        self._counts[rows] += np.uint64(1)
        for row in rows.tolist():
            if seeds[row] is not None:
                self._roots[row] = draw_root(seeding.np_random(seeds[row])[0])
                self._counts[row] = 0
        info: dict[str, Any] = {}
        self._begin(rows, info, wanted)
        self._add_masks(rows, info)
        return self._observe(), info

    def step(self, actions: ArrayLike) -> Step:
        """Append one token to every row; see `autoreset_mode` for what happens to rows whose episode is over."""
        ended = self.over.nonzero()[0]
        if not len(ended):
            return self._step(self._all_rows, self._check(actions, self.num_envs))
        if self.autoreset_mode is AutoresetMode.DISABLED:
            raise gym.error.ResetNeeded(
                f"the episodes of rows {ended.tolist()} are over: reset them with "
                'reset(options={"reset_mask": mask}), or step the others with step_rows(rows, actions)'
            )
        actions = self._check(actions, self.num_envs)
        rows = (~self.over).nonzero()[0]
        return self._step(rows, actions[rows], ended)

    def step_rows(self, rows: ArrayLike, actions: ArrayLike) -> Step:
        """Append one token to some rows, (m,), and leave the others as they are; for `DISABLED` autoreset.

        Returns what `step` returns, for all rows: reward 0 and the flags as they stand for those that were left.
        """
        if self.autoreset_mode is not AutoresetMode.DISABLED:
            raise RuntimeError(f"step_rows needs autoreset_mode=AutoresetMode.DISABLED, not {self.autoreset_mode}")
        rows = np.asarray(rows, np.int64)
        over = rows[self.over[rows]]
        if len(over):
            raise gym.error.ResetNeeded(f"the episodes of rows {over.tolist()} are over: reset them, or leave them out")
        return self._step(rows, self._check(actions, len(rows)))

    def render(self) -> tuple[str, ...]:
        """The transcripts of all rows."""
        return tuple(
            rendering.transcript(episode, partial)
            for episode, partial in zip(self.episodes, self._partials(self._all_rows), strict=True)
        )

    # Beyond Gymnasium

    @property
    def over(self) -> NDArray[np.bool_]:
        """Which rows' episodes are over, (n,)."""
        return self._terminated | self._truncated

    def action_masks(self) -> NDArray[np.bool_]:
        """The legal next tokens of every row, (n, V)."""
        return self._masks(self._all_rows)

    def snapshot(self, rows: Iterable[int] | None = None) -> list[Snapshot[S]]:
        """Snapshots of some rows, or of all."""
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
            for row in (range(self.num_envs) if rows is None else rows)
        ]

    def restore(self, snapshots: Sequence[Snapshot[S]], rows: Sequence[int] | None = None, noise: int = 0) -> None:
        """Let rows go on from snapshots, of this or any other view of the task; `noise` as in `TokenEnv.restore`."""
        targets = range(self.num_envs) if rows is None else rows
        if not self.episodes and sorted(targets) != list(range(self.num_envs)):
            raise gym.error.ResetNeeded("other rows have no episode yet: call reset() first")
        if not self.episodes:
            self.episodes = [snapshot.episode for snapshot in snapshots]
        for row, snapshot in zip(targets, snapshots, strict=True):
            check_fit(snapshot, self.mdp)
            self.episodes[row] = snapshot.episode.copy()
            self.episodes[row].key = fresh_key(snapshot.episode.key, noise)
            length = len(snapshot.tokens)
            for array, saved in ((self.tokens, snapshot.tokens), (self.roles, snapshot.roles)):
                array[row, :length] = saved
                array[row, length:] = 0
            self.lengths[row], self.turn_starts[row] = length, snapshot.turn_start
            self._roots[row], self._counts[row] = snapshot.root, snapshot.count
            self._steps[row] = snapshot.steps
            self._terminated[row], self._truncated[row] = snapshot.terminated, snapshot.truncated

    def branch(self, sources: ArrayLike, targets: ArrayLike, noise: Sequence[int] | None = None) -> None:
        """Copy rows over others: the episodes of `sources`, (m,), go on in `targets`, (m,), too.

        Args:
            sources: rows to copy; one may be named k times, for k branches.
            targets: rows to write over.
            noise: for each target, 0 (the default) to repeat the chance of what follows, or a number of fresh noise.
        """
        sources, targets = np.asarray(sources), np.asarray(targets)
        if sources.shape != targets.shape or sources.ndim != 1:
            raise ValueError(f"sources {sources.shape} and targets {targets.shape} must be two rows of one length")
        copies = [self.episodes[source].copy() for source in sources.tolist()]
        for target, copy, number in zip(targets.tolist(), copies, noise or [0] * len(copies), strict=True):
            copy.key = fresh_key(copy.key, number)
            self.episodes[target] = copy
        for array in (self.tokens, self.roles, self.lengths, self.turn_starts, self._roots, self._counts):
            array[targets] = array[sources]
        for array in (self._steps, self._terminated, self._truncated):
            array[targets] = array[sources]

    # One step

    def _step(self, rows: NDArray[np.int64], actions: NDArray[np.int64], autoreset: NDArray[Any] | None = None) -> Step:
        rewards = np.zeros(self.num_envs)
        info: dict[str, Any] = {}
        self._append(rows, actions, rewards, info)
        if autoreset is not None:
            self._counts[autoreset] += np.uint64(1)
            self._begin(autoreset, info)
        terminated, truncated = self._terminated.copy(), self._truncated.copy()
        shown = rows if autoreset is None else self._all_rows
        if self.autoreset_mode is AutoresetMode.SAME_STEP and (terminated | truncated).any():
            ended = np.flatnonzero(terminated | truncated)
            self._add_masks(shown, info)
            info = split_finals(self.num_envs, ended, info, {"tokens": self.tokens, "roles": self.roles})
            self._counts[ended] += np.uint64(1)
            self._begin(ended, info)
            shown = ended
        self._add_masks(shown, info)
        return self._observe(), rewards, terminated, truncated, info

    def _append(self, rows: NDArray[np.int64], actions: NDArray[np.int64], rewards: NDArray[Any], info: Any) -> None:
        at = self.lengths[rows]
        cells = rows * self.mdp.context_length + at  # one index is three times as fast as two
        self.tokens.reshape(-1)[cells] = actions
        self.roles.reshape(-1)[cells] = POLICY
        at += 1
        self.lengths[rows] = at
        self._steps[rows] += 1
        stopped = actions == self.mdp.tokenizer.end_id
        ended = stopped | (at - self.turn_starts[rows] == self.mdp.max_response_tokens)
        out = (at == self.mdp.context_length) & ~ended
        if self.mdp.dense:
            self._shape(rows[~ended], rewards)
        if ended.any():
            self._end_turns(rows[ended], stopped[ended], rewards, info)
        if out.any():
            self._run_out(rows[out], info)
        if self.max_episode_steps is not None:
            late = rows[(self._steps[rows] >= self.max_episode_steps)]
            self._truncated[late] = ~self._terminated[late]

    def _end_turns(self, rows: NDArray[np.int64], stopped: NDArray[np.bool_], rewards: Any, info: Any) -> None:
        responses = self._partials(rows)
        answers = self.mdp.answers([self.episodes[row] for row in rows.tolist()], responses)
        rewards[rows] = answers.rewards
        self._terminated[rows] = answers.dones
        self.turn_starts[rows] = self.lengths[rows]
        reasons = _REASONS[stopped.view(np.int8)]
        if not all(answers.dones) or any(answers.messages):
            self._follow(rows, answers.messages, reasons.tolist(), answers.dones)
        columns = {
            "turn": answers.turns,
            "finish_reason": reasons,
            "response": responses,
            "message": answers.messages,
        }
        scatter(self.num_envs, info, rows, columns)
        scatter_ledgers(self.num_envs, info, rows, [score.parts for score in answers.scores])

    def _follow(
        self, rows: NDArray[np.int64], messages: Sequence[str], reasons: list[str], dones: Sequence[bool]
    ) -> None:
        """Append what the task said back."""
        for row, text, reason, done in zip(rows.tolist(), messages, reasons, dones, strict=True):
            start = int(self.lengths[row])
            ids, self._truncated[row] = self.mdp.follow(text, reason, done, self.mdp.context_length - start)
            stop = start + len(ids)
            self.tokens[row, start:stop] = ids
            self.roles[row, start:stop] = ENVIRONMENT
            self.lengths[row] = self.turn_starts[row] = stop

    def _run_out(self, rows: NDArray[np.int64], info: dict[str, Any]) -> None:
        self._truncated[rows] = True
        columns = {
            "turn": [self.episodes[row].turn for row in rows.tolist()],
            "finish_reason": ["context"] * len(rows),
            "response": self._partials(rows),
        }
        scatter(self.num_envs, info, rows, columns)

    def _shape(self, rows: NDArray[np.int64], rewards: NDArray[np.float64]) -> None:
        for row, partial in zip(rows.tolist(), self._partials(rows), strict=True):
            episode = self.episodes[row]
            rewards[row] = self.mdp.shape(episode, self.mdp.task.potential(episode.state, partial))

    def _begin(self, rows: NDArray[np.int64], info: dict[str, Any], wanted: Any = None) -> None:
        keys = episode_keys(self._roots[rows], self._counts[rows])
        indices = self.mdp.problem_indices(keys, wanted)
        episodes, texts = self.mdp.episodes(keys, indices)
        openings, lengths = self.mdp.openings(texts)
        for row, episode in zip(rows.tolist(), episodes, strict=True):
            self.episodes[row] = episode
        self.tokens[rows] = 0
        self.tokens[:, : openings.shape[1]][rows] = openings
        self.roles[rows] = np.arange(self.mdp.context_length) < lengths[:, None]  # True is 1, which is ENVIRONMENT
        self.lengths[rows] = self.turn_starts[rows] = lengths
        self._steps[rows] = 0
        self._terminated[rows] = self._truncated[rows] = False
        scatter(self.num_envs, info, rows, {"problem": indices, "turn": [0] * len(rows), "message": texts})

    # Small things

    def _observe(self) -> Observations:
        if self.copy:
            return {"tokens": self.tokens.copy(), "roles": self.roles.copy()}
        return {"tokens": self.tokens, "roles": self.roles}

    def _partials(self, rows: NDArray[np.int64]) -> list[str]:
        """The responses of rows so far."""
        if not len(rows):
            return []
        starts = self.turn_starts[rows]
        lengths = self.lengths[rows] - starts
        cells = (rows * self.mdp.context_length + starts)[:, None] + np.arange(lengths.max())
        # The cells behind a response may lie behind the last row, too; what is read there doesn't count.
        return self.mdp.tokenizer.decode_block(self.tokens.reshape(-1).take(cells, mode="clip"), lengths)

    def _masks(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        partials = self._partials(rows)
        episodes = [self.episodes[row] for row in rows.tolist()]
        return np.stack([self.mdp.action_mask(*pair) for pair in zip(episodes, partials, strict=True)])

    def _add_masks(self, rows: NDArray[np.int64], info: dict[str, Any]) -> None:
        if self.mdp.has_grammar and len(rows):
            scatter(self.num_envs, info, rows, {"action_mask": self._masks(rows)})

    def _check(self, actions: ArrayLike, count: int) -> NDArray[np.int64]:
        if not self.episodes:
            raise gym.error.ResetNeeded("the environments have no episodes yet: call reset() before step()")
        actions = np.asarray(actions)
        if actions.shape != (count,) or actions.dtype.kind not in "iu":
            raise ValueError(f"actions must be {count} token ids, got {actions.dtype} of shape {actions.shape}")
        tokens = actions.astype(np.int64, copy=False)
        if tokens.size and tokens.view(np.uint64).max() >= self.mdp.tokenizer.vocab_size:  # negatives are huge there
            raise ValueError(
                f"actions {actions.min()}..{actions.max()} are no tokens: the vocabulary is "
                f"0..{self.mdp.tokenizer.vocab_size - 1}"
            )
        return tokens

    def _masked_rows(self, mask: Any) -> NDArray[np.int64]:
        if mask is None:
            return self._all_rows
        if not isinstance(mask, np.ndarray) or mask.shape != (self.num_envs,) or mask.dtype != bool or not mask.any():
            raise ValueError(f"options['reset_mask'] must be a bool array of {self.num_envs}, not all False: {mask!r}")
        return np.flatnonzero(mask)

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, (int, np.integer)):
            self._np_random, self._np_random_seed = seeding.np_random(int(seed))
            return [int(seed) + row for row in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"{len(seed)} seeds for {self.num_envs} environments")
        return list(seed)
