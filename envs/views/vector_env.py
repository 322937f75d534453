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

from textmdp.envs.core.episode import ENVIRONMENT, POLICY, Episode, Snapshot
from textmdp.envs.core.mdp import TextMDP
from textmdp.envs.core.randomness import branch_key, draw_root, episode_keys
from textmdp.envs.core.task import Future, Reply, S, Task
from textmdp.envs.views import rendering
from textmdp.envs.views.text_env import check_fit, check_options
from textmdp.envs.views.vector_info import mask_of, scatter, scatter_ledgers, split_finals
from textmdp.envs.views.vector_reset import masked_rows, row_problems, row_seeds

Observations = dict[str, NDArray[Any]]
_REASONS = np.array(["length", "stop"], object)  # by whether the end-of-turn token was said
# Constants are arrays, which numpy takes up to three times faster than numbers.
_ONE = np.array(1, np.uint64)
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
        episodes: the textual halves, n of them; a row's next episode overwrites the last one: keep a `copy()`.
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

        self._room, self._budget = np.array(self.mdp.context_length), np.array(self.mdp.max_response_tokens)
        self._end, self._bound = np.array(self.mdp.tokenizer.end_id), np.array(self.mdp.tokenizer.vocab_size, np.uint64)
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
        self._submitted: dict[int, tuple[str, Future[Reply[S]]]] = {}  # rows whose response is being graded already
        self._all_rows, self._columns = np.arange(num_envs), np.arange(shape[1])
        self._first_cells, self._everywhere = self._all_rows * shape[1], np.ones(num_envs, bool)

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
        rows = masked_rows(options.pop("reset_mask", None), self.num_envs)
        wanted = row_problems(check_options(options).get("problem"), rows, self.num_envs)
        fresh = not self.episodes
        if fresh and len(rows) < self.num_envs:
            raise gym.error.ResetNeeded("the first reset() begins all rows: call it without a reset_mask")
        seeds = row_seeds(seed, self.num_envs)
        if isinstance(seed, (int, np.integer)):
            self._np_random, self._np_random_seed = seeding.np_random(int(seed))
        if fresh:
            self.episodes = [Episode() for _ in range(self.num_envs)]
            if seed is None:
                seeds = self.np_random.integers(2**63, size=self.num_envs).tolist()
        self._counts[rows] += _ONE
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
        actions = self._check(actions, self.num_envs)
        over = self.over
        ended = over.nonzero()[0]
        if not len(ended):
            return self._step(self._everywhere, actions)
        if self.autoreset_mode is AutoresetMode.DISABLED:
            raise gym.error.ResetNeeded(
                f"the episodes of rows {ended.tolist()} are over: reset them with "
                'reset(options={"reset_mask": mask}), or step the others with step_rows(rows, actions)'
            )
        return self._step(~over, actions, ended)

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
        going, some = np.zeros(self.num_envs, bool), self._check(actions, len(rows))
        going[rows] = True
        actions = np.zeros(self.num_envs, np.int64)
        actions[rows] = some
        return self._step(going, actions)

    def append(self, rows: ArrayLike, tokens: ArrayLike, lengths: ArrayLike) -> Step:
        """Append several tokens of one turn to each of some rows: `step_rows` for as many steps, in one call.

        A turn may end with the last token of a row, by the end-of-turn token, its budget or the context, and not
        before. With dense rewards or `max_episode_steps` each token is a step of its own: use `step_rows`.

        Args:
            rows: (m,), each once; their episodes are under way.
            tokens: (m, K), of which the first `lengths[i]` of row i count.
            lengths: (m,), from 1 to K.

        Returns what `step_rows` returns for the last token of each row.

        Raises:
            RuntimeError: the rewards are dense, the steps limited, or autoreset isn't `DISABLED`.
            ResetNeeded: an episode is over.
            ValueError: ids, shapes or lengths are no such tokens, or a row's turn ends before its last token.
        """
        if not self.can_append:
            raise RuntimeError(
                "append needs autoreset_mode=AutoresetMode.DISABLED, reward='sparse' and max_episode_steps=None; "
                "use step_rows(rows, actions), a token at a time"
            )
        rows, tokens, lengths = self._check_block(rows, tokens, lengths)
        starts, counted = self.lengths[rows], np.arange(tokens.shape[1]) < lengths[:, None]  # (m,), (m, K)
        cells = (self._first_cells[rows] + starts)[:, None] + np.arange(tokens.shape[1])
        self.tokens.reshape(-1)[cells[counted]] = tokens[counted]
        self.roles.reshape(-1)[cells[counted]] = POLICY
        self.lengths[rows] += lengths
        self._steps[rows] += lengths
        going, stopped = np.zeros((2, self.num_envs), bool)
        going[rows] = True
        stopped[rows] = tokens[np.arange(len(rows)), lengths - 1] == self._end
        rewards = np.zeros(self.num_envs)
        info: dict[str, Any] = {}
        self._settle(going, stopped, rewards, info)
        self._add_masks(np.flatnonzero(going), info)
        return self._observe(), rewards, self._terminated.copy(), self._truncated.copy(), info

    def render(self) -> tuple[str, ...]:
        """The transcripts of all rows."""
        return tuple(map(rendering.transcript, self.episodes, self.partials(self._all_rows)))

    def close_extras(self, **_: Any) -> None:
        """Close the task; Gymnasium's `close` calls this once."""
        for _response, pending in self._submitted.values():
            pending.cancel()
        self._submitted.clear()
        self.mdp.task.close()

    # Beyond Gymnasium

    @property
    def can_append(self) -> bool:
        """Whether `append` may be used: only ends of turns earn anything, and no limit counts steps."""
        return self.autoreset_mode is AutoresetMode.DISABLED and not self.mdp.dense and self.max_episode_steps is None

    @property
    def over(self) -> NDArray[np.bool_]:
        """Which rows' episodes are over, (n,)."""
        return self._terminated | self._truncated

    def action_masks(self) -> NDArray[np.bool_]:
        """The legal next tokens of every row, (n, V)."""
        return self.masks_of(self._all_rows)

    def partials(self, rows: NDArray[np.int64]) -> list[str]:
        """The responses of some rows so far, (m,)."""
        if not len(rows):
            return []
        starts = self.turn_starts[rows]
        lengths = self.lengths[rows] - starts
        cells = (rows * self.mdp.context_length + starts)[:, None] + np.arange(lengths.max())
        # The cells behind a response may lie behind the last row, too; what is read there doesn't count.
        return self.mdp.tokenizer.decode_block(self.tokens.reshape(-1).take(cells, mode="clip"), lengths)

    def submit(self, rows: ArrayLike) -> None:
        """Begin to grade the responses of some rows, (m,), that lack nothing but their end-of-turn token.

        The step that ends such a turn awaits the result. Rewards and infos are those without `submit`; only time is
        saved, and only for a task that overrides `Task.submit`: for any other, nothing happens.
        """
        if not self.mdp.task.slow:
            return
        rows = np.asarray(rows, np.int64)
        over = rows[self.over[rows]]
        if len(over):
            raise gym.error.ResetNeeded(f"the episodes of rows {over.tolist()} are over: reset them, or leave them out")
        responses = self.partials(rows)
        pending = self._pending(rows, responses)
        self._submitted.update(zip(rows.tolist(), zip(responses, pending, strict=True), strict=True))

    def masks_of(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """The legal next tokens of some rows, (m, V)."""
        partials = self.partials(rows)
        episodes = [self.episodes[row] for row in rows.tolist()]
        return np.stack([self.mdp.action_mask(*pair) for pair in zip(episodes, partials, strict=True)])

    @property
    def rng_state(self) -> tuple[list[int], list[int]]:
        """What the next resets follow from where they get no seed: a root and a count for each row; may be set."""
        return self._roots.tolist(), self._counts.tolist()

    @rng_state.setter
    def rng_state(self, kept: tuple[list[int], list[int]]) -> None:
        self._roots[:], self._counts[:] = kept
        if not self.episodes:  # which a first reset without a seed would draw roots for
            self.episodes = [Episode() for _ in range(self.num_envs)]

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
        self._discard_submitted(targets)
        for row, snapshot in zip(targets, snapshots, strict=True):
            check_fit(snapshot, self.mdp)
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
        """Copy rows over others: the episodes of `sources`, (m,), go on in `targets`, (m,), too.

        Args:
            sources: rows to copy; one may be named k times, for k branches.
            targets: rows to write over.
            noise: for each target, 0 (the default) to repeat the chance of what follows, or a number of fresh noise.
        """
        sources, targets = np.asarray(sources), np.asarray(targets)
        if sources.shape != targets.shape or sources.ndim != 1:
            raise ValueError(f"sources {sources.shape} and targets {targets.shape} must be two rows of one length")
        self._discard_submitted(targets.tolist())
        copies = [self.episodes[source].copy() for source in sources.tolist()]
        for target, copy, number in zip(targets.tolist(), copies, noise or [0] * len(copies), strict=True):
            copy.key = branch_key(copy.key, number)
            self.episodes[target] = copy
        for array in (self.tokens, self.roles, self.lengths, self.turn_starts, self._roots, self._counts):
            array[targets] = array[sources]
        for array in (self._steps, self._terminated, self._truncated):
            array[targets] = array[sources]

    # One step

    def _step(self, going: NDArray[np.bool_], actions: NDArray[Any], autoreset: NDArray[Any] | None = None) -> Step:
        rewards = np.zeros(self.num_envs)
        info: dict[str, Any] = {}
        self._append(going, actions, rewards, info)
        if autoreset is not None:
            self._counts[autoreset] += _ONE
            self._begin(autoreset, info)
        terminated, truncated = self._terminated.copy(), self._truncated.copy()
        shown = going.nonzero()[0] if autoreset is None else self._all_rows
        if self.autoreset_mode is AutoresetMode.SAME_STEP and (terminated | truncated).any():
            ended = np.flatnonzero(terminated | truncated)
            self._add_masks(shown, info)
            info = split_finals(self.num_envs, ended, info, {"tokens": self.tokens, "roles": self.roles})
            self._counts[ended] += _ONE
            self._begin(ended, info)
            shown = ended
        self._add_masks(shown, info)
        return self._observe(), rewards, terminated, truncated, info

    def _append(self, going: NDArray[np.bool_], actions: NDArray[np.int64], rewards: Any, info: Any) -> None:
        cells = (self._first_cells + self.lengths)[going]  # one index is three times as fast as two
        self.tokens.reshape(-1)[cells] = actions[going]
        self.roles.reshape(-1)[cells] = POLICY
        self.lengths += going
        self._steps += going
        self._settle(going, actions == self._end, rewards, info)

    def _settle(self, going: NDArray[np.bool_], stopped: NDArray[np.bool_], rewards: Any, info: Any) -> None:
        """End turns and episodes of the rows that got tokens, (n,), of which some said the end-of-turn token, (n,)."""
        ended = (stopped | (self.lengths - self.turn_starts == self._budget)) & going
        out = (self.lengths == self._room) & going & ~ended
        if self.mdp.dense:
            self._shape(np.flatnonzero(going & ~ended), rewards)
        rows = ended.nonzero()[0]
        if len(rows):
            self._end_turns(rows, stopped[rows], rewards, info)
        if np.count_nonzero(out):  # which takes a third of the time of any()
            self._run_out(np.flatnonzero(out), info)
        if self.max_episode_steps is not None:
            self._truncated |= going & (self._steps >= self.max_episode_steps) & ~self._terminated

    def _end_turns(self, rows: NDArray[np.int64], stopped: NDArray[np.bool_], rewards: Any, info: Any) -> None:
        responses = self.partials(rows)
        pending = self._pending(rows, responses) if self._submitted else None
        episodes = [self.episodes[row] for row in rows.tolist()]
        answers = self.mdp.answers(episodes, responses, (~stopped).tolist(), pending)
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
        told = mask_of(rows, self.num_envs)
        scatter(info, rows, told, columns)
        scatter_ledgers(info, rows, told, [score.parts for score in answers.scores])

    def _pending(self, rows: NDArray[np.int64], responses: list[str]) -> list[Future[Reply[S]]]:
        """The futures of the replies to these responses: those submitted before, and new ones for the others."""
        found: list[Future[Reply[S]] | None] = []
        for row, response in zip(rows.tolist(), responses, strict=True):
            submitted, future = self._submitted.pop(row, ("", None))
            found.append(future if submitted == response else None)
        new = [i for i, future in enumerate(found) if future is None]
        submitted_now = iter(self.mdp.submit([self.episodes[rows[i]] for i in new], [responses[i] for i in new]))
        return [next(submitted_now) if future is None else future for future in found]

    def _discard_submitted(self, rows: Iterable[int]) -> None:
        """Drop the futures of rows that go on from another state."""
        for row in rows:
            self._submitted.pop(row, None)

    def _append_replies(
        self, rows: NDArray[np.int64], messages: Sequence[str], reasons: list[str], dones: Sequence[bool]
    ) -> None:
        """Append what the task said back."""
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
        scatter(info, rows, mask_of(rows, self.num_envs), columns)

    def _shape(self, rows: NDArray[np.int64], rewards: NDArray[np.float64]) -> None:
        for row, partial in zip(rows.tolist(), self.partials(rows), strict=True):
            episode = self.episodes[row]
            rewards[row] = self.mdp.shape(episode, self.mdp.task.potential(episode.state, partial))

    def _begin(self, rows: NDArray[np.int64], info: dict[str, Any], wanted: Any = None) -> None:
        if self._submitted:
            self._discard_submitted(rows.tolist())
        keys = episode_keys(self._roots[rows], self._counts[rows])
        indices = self.mdp.problem_indices(keys, wanted)
        texts = self.mdp.begin([self.episodes[row] for row in rows.tolist()], keys, indices)
        openings, lengths = self.mdp.openings(texts)
        width, shape = openings.shape[1], (len(rows), self.mdp.context_length)
        tokens, roles = np.zeros(shape, np.int64), np.zeros(shape, bool)
        tokens[:, :width] = openings
        np.less(self._columns[:width], lengths[:, None], out=roles[:, :width])
        self.tokens[rows] = tokens
        self.roles[rows] = roles  # True is 1, which is ENVIRONMENT
        self.lengths[rows] = self.turn_starts[rows] = lengths
        self._steps[rows] = 0
        self._terminated[rows] = self._truncated[rows] = False
        told = {"problem": indices, "turn": np.zeros(len(rows), np.int64), "message": texts}
        scatter(info, rows, mask_of(rows, self.num_envs), told)

    # Small things

    def _observe(self) -> Observations:
        if self.copy:
            return {"tokens": self.tokens.copy(), "roles": self.roles.copy()}
        return {"tokens": self.tokens, "roles": self.roles}

    def _add_masks(self, rows: NDArray[np.int64], info: dict[str, Any]) -> None:
        if self.mdp.has_grammar and len(rows):
            scatter(info, rows, mask_of(rows, self.num_envs), {"action_mask": self.masks_of(rows)})

    def _check(self, actions: ArrayLike, count: int) -> NDArray[np.int64]:
        if not self.episodes:
            raise gym.error.ResetNeeded("the environments have no episodes yet: call reset() before step()")
        actions = np.asarray(actions)
        if actions.shape != (count,) or actions.dtype.kind not in "iu":
            raise ValueError(f"actions must be {count} token ids, got {actions.dtype} of shape {actions.shape}")
        tokens = actions.astype(np.int64, copy=False)
        self._check_ids(tokens)
        return tokens

    def _check_ids(self, tokens: NDArray[np.int64]) -> None:
        if np.count_nonzero(tokens.view(np.uint64) >= self._bound):  # where negative numbers are huge
            raise ValueError(
                f"actions {tokens.min()}..{tokens.max()} are no tokens: the vocabulary is "
                f"0..{self.mdp.tokenizer.vocab_size - 1}"
            )

    def _check_block(
        self, rows: ArrayLike, tokens: ArrayLike, lengths: ArrayLike
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """The arguments of `append` as int64; errors where they break its rules."""
        if not self.episodes:
            raise gym.error.ResetNeeded("the environments have no episodes yet: call reset() before append()")
        rows, tokens, lengths = np.asarray(rows), np.asarray(tokens), np.asarray(lengths)
        if rows.ndim != 1 or lengths.shape != rows.shape or tokens.shape[:-1] != rows.shape or tokens.ndim != 2:
            raise ValueError(
                f"rows {rows.shape}, tokens {tokens.shape} and lengths {lengths.shape} must be (m,), (m, K) and (m,)"
            )
        if any(array.dtype.kind not in "iu" for array in (rows, tokens, lengths)):
            raise ValueError(
                f"rows, tokens and lengths must be whole numbers, got {rows.dtype}, {tokens.dtype}, {lengths.dtype}"
            )
        rows, tokens, lengths = (array.astype(np.int64, copy=False) for array in (rows, tokens, lengths))
        if len(np.unique(rows)) < len(rows) or (np.clip(rows, 0, self.num_envs - 1) != rows).any():
            raise ValueError(f"rows {rows.tolist()} must be numbers in 0..{self.num_envs - 1}, each once")
        over = rows[self.over[rows]]
        if len(over):
            raise gym.error.ResetNeeded(f"the episodes of rows {over.tolist()} are over: reset them, or leave them out")
        if (np.clip(lengths, 1, tokens.shape[1]) != lengths).any():
            raise ValueError(f"lengths {lengths.tolist()} must lie in 1..{tokens.shape[1]}, the columns of tokens")
        columns = np.arange(tokens.shape[1])
        self._check_ids(tokens[columns < lengths[:, None]])
        stops = np.minimum(self.turn_starts[rows] + self._budget, self._room)  # (m,), the furthest that a turn may go
        early = ((tokens == self._end) & (columns < lengths[:, None] - 1)).any(1) | (
            self.lengths[rows] + lengths > stops
        )
        if early.any():
            raise ValueError(
                f"the turns of rows {rows[early].tolist()} end before the last of their {lengths[early].tolist()} "
                "tokens, by the end-of-turn token, the budget of the response or the context: append no more than that"
            )
        return rows, tokens, lengths
