"""The token view: one action is one token."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from gymnasium import spaces

from textmdp.envs.core.episode import POLICY
from textmdp.envs.core.task import S
from textmdp.envs.views.text_env import TextEnv


class TokenEnv(TextEnv[S]):
    """A task in which one action is one token.

    ## Description
    The policy writes its response token by token. The task grades it at the end of the turn.

    ## Action space
    `Discrete(V)`: the next token. `mdp.tokenizer.end_id` ends the turn. `action_masks()` returns the legal tokens.

    ## Observation space
    `Dict(tokens=Box(0, V-1, (T,), int64), roles=Box(0, 2, (T,), int8))`, left-aligned: the tokens so far and their
    roles (0 padding, 1 environment, 2 policy). Texts are tokenised once and never again.

    ## Rewards
    0 within a response; the task's score on its last token. With `reward="dense"` each token also earns the change of
    the task's potential.

    ## Starting state
    The opening text of the problem, which is random or chosen with `reset(options={"problem": i})`.

    ## Episode end
    - The end-of-turn token ends a turn (`info["finish_reason"] == "stop"`), and so does the budget
      `max_response_tokens` ("length"). The response is graded, and the task decides if the episode terminates.
    - A context of `context_length` tokens that is full within a response truncates the episode ("context").

    ## Info
    At the end of a turn: `turn` (finished turns), `finish_reason`, `response`, `message` (the environment's reply),
    `score` (its parts) and `is_success` (True if the episode terminated and `Task.success`). With a grammar,
    `action_mask` at every step.

    ## Arguments
    See `TextEnv`.
    """

    def _spaces(self) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
        return self.mdp.token_observations(), spaces.Discrete(self.mdp.tokenizer.vocab_size)

    def step(self, action: Any) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Append one token.

        Raises:
            ResetNeeded: there is no episode, or it is over.
            TypeError, ValueError: the action is no token id; nothing changes.
        """
        self._check_ongoing()
        token = operator.index(action)
        if not 0 <= token < self.mdp.tokenizer.vocab_size:
            raise ValueError(f"action {token} is no token: the vocabulary is 0..{self.mdp.tokenizer.vocab_size - 1}")
        self._tokens[self.length] = token
        self._roles[self.length] = POLICY
        self.length += 1
        self._steps += 1
        reward = 0.0
        info: dict[str, Any] = {}
        if token == self._end_id:
            reward, info = self._end_turn_or_undo(self.partial, "stop", 1)
        elif self.length - self._turn_start == self._budget:
            reward, info = self._end_turn_or_undo(self.partial, "length", 1)
        elif self.length == self.mdp.context_length:
            reward, info = self._run_out()
        elif self.mdp.dense:
            reward = self.mdp.shape(self.episode, self.mdp.task.potential(self.episode.state, self.partial))
        return self._observation(), reward, self._terminated, self._truncated, self._finish(info)

    def actions_for(self, text: str) -> list[int]:
        """The actions that write `text` and end the turn, at most `max_response_tokens`."""
        return [*self.mdp.tokenizer.encode(text), self._end_id][: self._budget]

    def _observation(self) -> dict[str, np.ndarray]:
        return {"tokens": self._tokens.copy(), "roles": self._roles.copy()}
