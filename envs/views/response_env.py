"""The response view: one action is a whole response."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from textmdp.envs.core.episode import POLICY
from textmdp.envs.core.spaces import UnicodeText
from textmdp.envs.core.task import S, Task
from textmdp.envs.views.text_env import TextEnv

ACTIONS = ("text", "tokens")


class ResponseEnv(TextEnv[S]):
    """A task, reply by reply: a single-turn task is a one-step MDP.

    For the same task, seed and text it shows the prompts, the task's replies, the ends and the undiscounted return of
    the token view; what changes is the grain at which credit is assigned.

    ## Action space
    `action="text"`: any Unicode text. `action="tokens"`: `MultiDiscrete([V] * T)`, T being `max_response_tokens`; what
    follows the first end-of-turn token is ignored.

    ## Observation space
    The transcript so far, `UnicodeText`; with `action="tokens"` the token view's `Dict` of `tokens` and `roles`.

    ## Rewards, episode end, info
    As in the token view. A text longer than the budget is cut there, graded as it stands, and finishes for "length".
    Characters that the tokenizer doesn't know count one token each.

    Arguments: `action`; for the others see `TextEnv`.
    """

    def __init__(
        self,
        task: Task[S],
        *,
        action: str = "text",
        tokenizer: Any = None,
        max_response_tokens: int | None = None,
        context_length: int | None = None,
        reward: str = "sparse",
        shaping_discount: float = 1.0,
        render_mode: str | None = None,
    ) -> None:
        if action not in ACTIONS:
            raise ValueError(f"action={action!r} is not one of {ACTIONS}")
        self._of_tokens = action == "tokens"
        super().__init__(
            task,
            tokenizer=tokenizer,
            max_response_tokens=max_response_tokens,
            context_length=context_length,
            reward=reward,
            shaping_discount=shaping_discount,
            render_mode=render_mode,
        )

    def _spaces(self) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
        budget, tokenizer = self.mdp.max_response_tokens, self.mdp.tokenizer
        if self._of_tokens:
            return self.mdp.token_observations(), spaces.MultiDiscrete(np.full(budget, tokenizer.vocab_size))
        return self.mdp.text_observations(), UnicodeText(budget * tokenizer.max_token_bytes)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Give one response. Raises a `TypeError` or `ValueError` for what is none, and changes nothing."""
        self._check_ongoing()
        ids, text = self._read(action)
        finish_reason = "length" if len(ids) >= self.mdp.max_response_tokens else "stop"
        if finish_reason == "stop":
            ids.append(self.mdp.tokenizer.end_id)
        room = self.mdp.context_length - self.length
        self._append(ids[:room], POLICY)
        self._steps += 1
        reward, info = self._run_out() if len(ids) > room else self._end_turn(text, finish_reason)
        return self._observation(), reward, self._terminated, self._truncated, self._finish(info)

    def _read(self, action: Any) -> tuple[list[int], str]:
        """The tokens of a response within the budget, without the end of turn, and its text."""
        tokenizer, budget = self.mdp.tokenizer, self.mdp.max_response_tokens
        if self._of_tokens:
            row = np.asarray(action)
            if not self.action_space.contains(row.astype(np.int64) if row.dtype.kind in "iu" else row):
                raise ValueError(f"an action is {budget} token ids below {tokenizer.vocab_size}, got {action!r}")
            ids: list[int] = row.tolist()
            if tokenizer.end_id in ids:
                ids = ids[: ids.index(tokenizer.end_id)]
            return ids, tokenizer.decode(ids)
        if not isinstance(action, str):
            raise TypeError(f"a response is a str, got {type(action).__name__}: {action!r}")
        ids = tokenizer.encode(action, errors="replace")
        if len(ids) <= budget:
            return ids, action
        return ids[:budget], tokenizer.cut(action, budget)

    def _observation(self) -> Any:
        if self._of_tokens:
            return {"tokens": self._tokens.copy(), "roles": self._roles.copy()}
        return "".join(self.episode.messages) + self.partial
