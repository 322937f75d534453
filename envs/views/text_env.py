"""The base class of the single views: one row of tokens, resets, snapshots and rendering."""

from __future__ import annotations

import os
import sys
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Generic

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from textmdp.envs.core.episode import ENVIRONMENT, Episode, Snapshot
from textmdp.envs.core.mdp import TextMDP
from textmdp.envs.core.randomness import branch_key, draw_root, episode_keys, turn_generator
from textmdp.envs.core.task import S, Task
from textmdp.envs.views import rendering
from textmdp.envs.views.pictures import picture


class TextEnv(gym.Env[Any, Any], Generic[S]):
    """One episode of a task as a row of tokens; `TokenEnv` and `ResponseEnv` define the actions.

    Args:
        task: the task.
        tokenizer, max_response_tokens, context_length, reward, shaping_discount: see `TextMDP`.
        render_mode: "ansi", in which `render()` returns the transcript with roles in colour and the scores below each
            turn; "rgb_array", in which it returns a picture of it, (400, 640, 3) uint8; "human", in which the
            transcript is printed as it grows; or None.

    Attributes:
        mdp: the rules: the task, its tokenizer, the budgets.
        episode: the textual half of the state; `episode.chat()` returns it as chat messages.
        length: the number of tokens so far.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi", "human", "rgb_array"], "render_fps": 30}  # noqa: RUF012  # as Gymnasium has it

    def __init__(
        self,
        task: Task[S],
        *,
        tokenizer: Any = None,
        max_response_tokens: int | None = None,
        context_length: int | None = None,
        reward: str = "sparse",
        shaping_discount: float = 1.0,
        render_mode: str | None = None,
    ) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(f"render_mode={render_mode!r} is not one of {self.metadata['render_modes']} or None")
        self.mdp = TextMDP(task, tokenizer, max_response_tokens, context_length, reward, shaping_discount)
        self.render_mode = render_mode
        self.observation_space, self.action_space = self._spaces()
        self._end_id, self._budget = self.mdp.tokenizer.end_id, self.mdp.max_response_tokens
        self.episode: Episode[S]
        self.length = 0
        self._tokens = np.zeros(self.mdp.context_length, np.int64)  # (T,)
        self._roles = np.zeros(self.mdp.context_length, np.int8)  # (T,)
        self._turn_start = 0
        self._root: int | None = None
        self._count = 0
        self._steps = 0
        self._terminated = self._truncated = False
        self._printer: rendering.Printer | None = None

    # Gymnasium

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: the seed of `np_random`, and so of this episode and the following ones; None to continue.
            options: `{"problem": i}` for problem i of the split instead of a random one.

        Returns:
            The observation, and an info with the number of the `problem`, the `turn` (0) and the opening `message`.
        """
        super().reset(seed=seed)
        problem = check_options(options).get("problem")
        if seed is not None or self._root is None:
            self._root, self._count = draw_root(self.np_random), 0
        else:
            self._count += 1
        keys = episode_keys(np.array([self._root], np.uint64), np.array([self._count], np.uint64))
        self.episode = Episode()
        (text,) = self.mdp.begin([self.episode], keys, self.mdp.problem_indices(keys, problem))
        self._tokens[:] = 0
        self._roles[:] = 0
        self.length = self._steps = 0
        self._printer = None
        self._terminated = self._truncated = False
        self._append(self.mdp.opening(text), ENVIRONMENT)
        self._turn_start = self.length
        info = {"problem": self.episode.problem, "turn": 0, "message": text}
        return self._observation(), self._finish(info)

    def render(self) -> str | NDArray[np.uint8] | None:
        """The transcript so far: text in mode "ansi", a picture in mode "rgb_array", printed in mode "human"."""
        if self.render_mode is None:
            modes = '"ansi", "rgb_array" or "human"'
            gym.logger.warn(f"render() needs a render mode: make the environment with render_mode={modes}")
            return None
        if self.render_mode == "ansi":
            return rendering.transcript(self.episode, self.partial)
        if self.render_mode == "rgb_array":
            return picture(rendering.transcript(self.episode, self.partial))
        self._print()
        return None

    def close(self) -> None:
        """Close the task; `reset` opens it again."""
        self.mdp.task.close()

    # Beyond Gymnasium

    @property
    def tokens(self) -> NDArray[np.int64]:
        """The token ids so far, (length,): a read-only view."""
        return self._tokens[: self.length]

    @property
    def roles(self) -> NDArray[np.int8]:
        """The roles of the tokens, (length,): 1 environment, 2 policy; a read-only view."""
        return self._roles[: self.length]

    @property
    def partial(self) -> str:
        """The unfinished response."""
        return self.mdp.tokenizer.decode(self._tokens[self._turn_start : self.length].tolist())

    def demonstrate(self) -> str:
        """The response of an expert in the current state."""
        return self.mdp.task.demonstrate(self.episode.state, turn_generator(self.episode.key, self.episode.turn))

    def action_masks(self) -> NDArray[np.bool_]:
        """The legal next tokens, (V,) bool: those of the task's grammar, or all but padding and other specials."""
        return self.mdp.action_mask(self.episode, self.partial)

    def snapshot(self) -> Snapshot[S]:
        """The complete state, for this or any other view of the task.

        Raises:
            ResetNeeded: there is no episode yet.
        """
        if self._root is None:
            raise gym.error.ResetNeeded("there is nothing to take a snapshot of: call reset() first")
        return Snapshot(
            self.episode.copy(),
            self.tokens.copy(),
            self.roles.copy(),
            self._turn_start,
            self._root,
            self._count,
            self._steps,
            self._terminated,
            self._truncated,
        )

    def restore(self, snapshot: Snapshot[S], noise: int = 0) -> Any:
        """Continue from a snapshot; returns the observation.

        Args:
            snapshot: a snapshot from any view of the same task with the same tokenizer.
            noise: 0 repeats the random numbers that followed the snapshot; any other integer replaces them.

        Raises:
            ValueError: the snapshot does not fit the context or the vocabulary.
        """
        check_compatible(snapshot, self.mdp)
        self.episode = snapshot.episode.copy()
        self.episode.key = branch_key(self.episode.key, noise)
        self.length = len(snapshot.tokens)
        for row, saved in ((self._tokens, snapshot.tokens), (self._roles, snapshot.roles)):
            row[: self.length] = saved
            row[self.length :] = 0
        self._turn_start = snapshot.turn_start
        self._root, self._count, self._steps = snapshot.root, snapshot.count, snapshot.steps
        self._terminated, self._truncated = snapshot.terminated, snapshot.truncated
        self._printer = None
        return self._observation()

    # For the views

    @abstractmethod
    def _spaces(self) -> tuple[gym.Space[Any], gym.Space[Any]]:
        """The observation space and the action space."""

    @abstractmethod
    def _observation(self) -> Any:
        """The current observation, which shares no memory with later ones."""

    def _append(self, ids: Sequence[int], role: int) -> None:
        stop = self.length + len(ids)
        self._tokens[self.length : stop] = ids
        self._roles[self.length : stop] = role
        self.length = stop

    def _end_turn_or_undo(self, response: str, finish_reason: str, count: int) -> tuple[float, dict[str, Any]]:
        """`_end_turn`; if grading raises, the last `count` tokens are taken back, and the step may be repeated."""
        try:
            return self._end_turn(response, finish_reason)
        except BaseException:
            self.length -= count
            self._tokens[self.length : self.length + count] = 0
            self._roles[self.length : self.length + count] = 0
            self._steps -= 1
            raise

    def _check_ongoing(self) -> None:
        if self._root is None:
            raise gym.error.ResetNeeded("the environment has no episode yet: call reset() before step()")
        if self._terminated or self._truncated:
            raise gym.error.ResetNeeded("the episode is over: call reset() before the next step()")

    def _end_turn(self, response: str, finish_reason: str) -> tuple[float, dict[str, Any]]:
        """Grade the response and append the reply; returns the reward and the info of the turn."""
        answers = self.mdp.answers([self.episode], [response], [finish_reason == "length"])
        (reward,), (self._terminated,), (message,) = answers.rewards, answers.dones, answers.messages
        (success,) = answers.successes
        room = self.mdp.context_length - self.length
        ids, self._truncated = self.mdp.append_reply(message, finish_reason, self._terminated, room)
        self._append(ids, ENVIRONMENT)
        self._turn_start = self.length
        return reward, self.mdp.turn_info(self.episode, finish_reason, success)

    def _run_out(self) -> tuple[float, dict[str, Any]]:
        """Truncate the episode, since the context is full within a response; nothing is graded."""
        self._truncated = True
        partial = self.partial
        reward = 0.0
        if self.mdp.dense:
            reward = self.mdp.shape(self.episode, self.mdp.task.potential(self.episode.state, partial))
        return reward, {"turn": self.episode.turn, "finish_reason": "context", "response": partial, "is_success": False}

    def _finish(self, info: dict[str, Any]) -> dict[str, Any]:
        """The last part of every reset and step: the action mask, and rendering."""
        if self.mdp.has_grammar:
            info["action_mask"] = self.action_masks()
        if self.render_mode == "human":
            self._print()
        return info

    def _print(self) -> None:
        if self._printer is None:
            colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
            self._printer = rendering.Printer(sys.stdout, colour)
            sys.stdout.write("\n")
        self._printer.update(self.episode, self.partial)


def check_options(options: dict[str, Any] | None) -> dict[str, Any]:
    """The options of a reset; a `ValueError` for unknown ones."""
    unknown = set(options or ()) - {"problem"}
    if unknown:
        raise ValueError(f'reset options {sorted(unknown)} are unknown; there is {{"problem": number}}')
    return options or {}


def check_compatible(snapshot: Snapshot[S], mdp: TextMDP[S]) -> None:
    """Raise a `ValueError` for a snapshot that does not fit the context or the vocabulary."""
    if len(snapshot.tokens) > mdp.context_length:
        raise ValueError(
            f"the snapshot holds {len(snapshot.tokens)} tokens, more than context_length={mdp.context_length}"
        )
    if len(snapshot.tokens) and snapshot.tokens.max() >= mdp.tokenizer.vocab_size:
        raise ValueError(
            f"the snapshot holds token {snapshot.tokens.max()}, and the vocabulary has {mdp.tokenizer.vocab_size}: "
            "it was taken with another tokenizer"
        )
