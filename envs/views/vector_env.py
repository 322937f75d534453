"""The token view of many episodes at once: preallocated arrays, and Python code only where a turn ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from textmdp.envs.core.episode import POLICY, Episode
from textmdp.envs.core.mdp import TextMDP
from textmdp.envs.core.randomness import draw_root
from textmdp.envs.core.task import S, Task
from textmdp.envs.views import rendering
from textmdp.envs.views.pictures import picture
from textmdp.envs.views.text_env import check_options
from textmdp.envs.views.vector_actions import check_actions, check_block, check_ongoing, check_started
from textmdp.envs.views.vector_info import mask_of, scatter, split_finals
from textmdp.envs.views.vector_reset import masked_rows, row_problems, row_seeds
from textmdp.envs.views.vector_turns import TurnRows

Observations = dict[str, NDArray[Any]]
# Constants are arrays, which numpy reads up to three times as fast as numbers.
_ONE = np.array(1, np.uint64)
Step = tuple[Observations, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]


class TokenVectorEnv(TurnRows[S], VectorEnv[Observations, NDArray[np.int64], NDArray[Any]]):
    """n episodes of a task, one token of each a step.

    ## Description
    The environment equals n `TokenEnv`s bit for bit, infos included, in all three autoreset modes. A step writes one
    column of the token array; the rows whose turn ended are decoded, graded and continued together. The cost of a step
    does not depend on the length of the episodes.

    ## Action space
    `MultiDiscrete([V] * n)`: the next token of each row. `append` takes several tokens of a row at once.

    ## Observation space
    A `Dict` of `tokens`, (n, T) int64, and `roles`, (n, T) int8, as in `TokenEnv`.

    ## Rewards
    (n,) float64, as in `TokenEnv`.

    ## Starting state
    Row i is seeded with `seed + i`. `reset(options={"problem": i})` chooses a problem, one for all or one for each row.

    ## Episode end
    As in `TokenEnv`. The autoreset mode decides when a row begins its next episode:

    - `NEXT_STEP`: at the next step, which ignores the row's action;
    - `SAME_STEP`: in the same step, with the last observation and info in `final_obs` and `final_info`;
    - `DISABLED`: at `reset(options={"reset_mask": mask})`; `step_rows` steps the rows that are not over.

    ## Info
    The keys of `TokenEnv` as arrays, (n,), each with a mask `_key`, (n,) bool, as in Gymnasium.

    ## Arguments
    See below; for `tokenizer`, `max_response_tokens`, `context_length`, `reward` and `shaping_discount` see `TextMDP`.

    Args:
        task: the task.
        num_envs: the number of rows (n).
        autoreset_mode: an `AutoresetMode`, or its value as a string.
        copy: True for observations that are copies; False for views of the arrays, which the next step changes.
        max_episode_steps: the number of steps that truncates an episode; None for no limit.
        render_mode: "ansi", "rgb_array" or None, see `TextEnv`.

    Attributes:
        tokens, roles, lengths, turn_starts, episodes: the states of the rows, see `TokenRows`.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi", "rgb_array"], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012  # as Gymnasium has it

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
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(f"render_mode={render_mode!r} is not one of {self.metadata['render_modes']} or None")
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        mdp = TextMDP(task, tokenizer, max_response_tokens, context_length, reward, shaping_discount)
        TurnRows.__init__(self, mdp, num_envs, max_episode_steps)
        self.num_envs, self.copy, self.render_mode = num_envs, copy, render_mode
        self.single_observation_space = self.mdp.token_observations()
        self.single_action_space = spaces.Discrete(self.mdp.tokenizer.vocab_size)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

        self._end_id = np.array(self.mdp.tokenizer.end_id)
        self._vocab_size = np.array(self.mdp.tokenizer.vocab_size, np.uint64)
        self._first_cells, self._everywhere = self._all_rows * self.mdp.context_length, np.ones(num_envs, bool)
        self._selected: NDArray[np.int64] | None = None

    # Gymnasium

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Begin episodes in all rows, or in those of a mask.

        Args:
            seed: a number, which seeds row i with `seed + i`, or a list of one seed (or None) for each row.
            options: `{"problem": i}`, one number for all rows or one for each; `{"reset_mask": mask}`, (n,) bool, to
                reset some rows.

        Returns:
            The observations, and infos with the `problem`, the `turn` (0) and the opening `message` of the reset rows.
        """
        options = dict(options or {})
        rows = masked_rows(options.pop("reset_mask", None), self.num_envs)
        problems = row_problems(check_options(options).get("problem"), rows, self.num_envs)
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
        self._begin(rows, info, problems)
        self._add_masks(rows, info)
        return self._observe(), info

    def step(self, actions: ArrayLike) -> Step:
        """Append one token, (n,), to every row; the autoreset mode decides about rows whose episode is over.

        Raises:
            ResetNeeded: there are no episodes yet, or autoreset is disabled and one is over.
            ValueError: the actions are not n token ids; nothing changes.
        """
        check_started(self)
        actions = check_actions(actions, self.num_envs, self._vocab_size)
        if self._selected is not None:
            return self._step_selected(self._selected, actions)
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
        """Append one token, (m,), to some rows, (m,), and leave the others unchanged; for `DISABLED` autoreset.

        Returns:
            The result of `step`, for all rows; the rows that were left have reward 0 and their current flags.
        """
        if self.autoreset_mode is not AutoresetMode.DISABLED:
            raise RuntimeError(f"step_rows needs autoreset_mode=AutoresetMode.DISABLED, not {self.autoreset_mode}")
        rows = np.asarray(rows, np.int64)
        check_ongoing(self, rows)
        check_started(self)
        going, some = np.zeros(self.num_envs, bool), check_actions(actions, len(rows), self._vocab_size)
        going[rows] = True
        actions = np.zeros(self.num_envs, np.int64)
        actions[rows] = some
        return self._step(going, actions)

    def append(self, rows: ArrayLike, tokens: ArrayLike, lengths: ArrayLike) -> Step:
        """Append several tokens of one turn to each of some rows: many calls of `step_rows` in one.

        A turn may end with the last token of a row, by the end-of-turn token, its budget or the context, but not
        before. With dense rewards or `max_episode_steps` each token must be a step of its own: use `step_rows`.

        Args:
            rows: the rows, (m,), each once; their episodes are not over.
            tokens: the tokens, (m, K); the first `lengths[i]` of row i are appended.
            lengths: the numbers of tokens, (m,), from 1 to K.

        Returns:
            The result of `step_rows` for the last token of each row.

        Raises:
            RuntimeError: the rewards are dense, the steps limited, or autoreset is not `DISABLED`.
            ResetNeeded: an episode is over.
            ValueError: shapes, ids or lengths are wrong, or a row's turn ends before its last token.
        """
        if not self.can_append:
            raise RuntimeError(
                "append needs autoreset_mode=AutoresetMode.DISABLED, reward='sparse' and max_episode_steps=None; "
                "use step_rows(rows, actions), a token at a time"
            )
        check_started(self)
        rows, tokens, lengths = check_block(self, rows, tokens, lengths)
        counted = np.arange(tokens.shape[1]) < lengths[:, None]  # (m, K)
        cells = (self._first_cells[rows] + self.lengths[rows])[:, None] + np.arange(tokens.shape[1])
        self.tokens.reshape(-1)[cells[counted]] = tokens[counted]
        self.roles.reshape(-1)[cells[counted]] = POLICY
        added = np.zeros(self.num_envs, np.int64)
        added[rows] = lengths
        going, stopped = np.zeros((2, self.num_envs), bool)
        going[rows] = True
        stopped[rows] = tokens[np.arange(len(rows)), lengths - 1] == self._end_id
        rewards = np.zeros(self.num_envs)
        info: dict[str, Any] = {}
        self._settle(added, stopped, rewards, info)
        self._add_masks(np.flatnonzero(going), info)
        return self._observe(), rewards, self._terminated.copy(), self._truncated.copy(), info

    def render(self) -> tuple[Any, ...]:
        """The transcripts of all rows, or pictures of them in mode "rgb_array"."""
        transcripts = map(rendering.transcript, self.episodes, self.partials(self._all_rows))
        return tuple(map(picture, transcripts) if self.render_mode == "rgb_array" else transcripts)

    def close_extras(self, **_: Any) -> None:
        """Close the task and cancel what was submitted; Gymnasium's `close` calls this once."""
        for _response, future in self._submitted.values():
            future.cancel()
        self._submitted.clear()
        self.mdp.task.close()

    # Beyond Gymnasium

    @property
    def can_append(self) -> bool:
        """True if `append` may be used: only the ends of turns are rewarded, and no limit or wrapper counts steps."""
        limits = self.mdp.dense or self.max_episode_steps is not None or self._selected is not None
        return self.autoreset_mode is AutoresetMode.DISABLED and not limits

    def select(self, rows: ArrayLike | None) -> None:
        """Let `step` step these rows, (m,), only, until another call; None for all rows.

        A wrapper knows `step`, and no `step_rows`. The steps of a selection show `terminated` and `truncated` for rows
        that ended in this very step, so that a wrapper counts each end once.

        Raises:
            RuntimeError: autoreset is not `DISABLED`.
        """
        if rows is not None and self.autoreset_mode is not AutoresetMode.DISABLED:
            raise RuntimeError(f"select needs autoreset_mode=AutoresetMode.DISABLED, not {self.autoreset_mode}")
        self._selected = None if rows is None else np.asarray(rows, np.int64)

    def _step_selected(self, rows: NDArray[np.int64], actions: NDArray[np.int64]) -> Step:
        observations, rewards, terminated, truncated, info = self.step_rows(rows, actions[rows])
        stepped = mask_of(rows, self.num_envs)
        return observations, rewards, terminated & stepped, truncated & stepped, info

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
        self._settle(going.astype(np.int64), actions == self._end_id, rewards, info)

    def _observe(self) -> Observations:
        if self.copy:
            return {"tokens": self.tokens.copy(), "roles": self.roles.copy()}
        return {"tokens": self.tokens, "roles": self.roles}

    def _add_masks(self, rows: NDArray[np.int64], info: dict[str, Any]) -> None:
        if self.mdp.has_grammar and len(rows):
            scatter(info, rows, mask_of(rows, self.num_envs), {"action_mask": self.masks_of(rows)})
