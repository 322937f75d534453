"""The response view: one action is one response."""

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
    """A task in which one action is one response: a single-turn task is a one-step MDP.

    ## Description
    For the same task, seed and text, the prompts, replies, ends and undiscounted return are those of `TokenEnv`. Only
    the granularity of credit assignment differs.

    ## Action space
    `action="text"`: any Unicode text. `action="tokens"`: `MultiDiscrete([V] * K)` with K = `max_response_tokens`;
    tokens after the first end-of-turn token are ignored.

    ## Observation space
    The transcript so far, `UnicodeText`; with `action="tokens"` the `Dict` of `tokens` and `roles` of `TokenEnv`.

    ## Rewards
    The task's score of the response, and with `reward="dense"` the change of the task's potential.

    ## Starting state
    As in `TokenEnv`.

    ## Episode end
    As in `TokenEnv`. A text that reaches the budget is cut there and graded (`finish_reason` "length"). Characters that
    the tokenizer does not know count as one token each.

    ## Info
    As in `TokenEnv`.

    ## Arguments
    - `action`: `"text"` or `"tokens"`; for the others see `TextEnv`.
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
        self._takes_tokens = action == "tokens"
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
        if self._takes_tokens:
            return self.mdp.token_observations(), spaces.MultiDiscrete(np.full(budget, tokenizer.vocab_size))
        return self.mdp.text_observations(), UnicodeText(budget * tokenizer.max_token_bytes)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Append one response and let the task grade it.

        Raises:
            ResetNeeded: there is no episode, or it is over.
            TypeError, ValueError: the action is no response; nothing changes.
        """
        self._check_ongoing()
        ids, text = self._read(action)
        finish_reason = "length" if len(ids) >= self.mdp.max_response_tokens else "stop"
        if finish_reason == "stop":
            ids.append(self.mdp.tokenizer.end_id)
        room = self.mdp.context_length - self.length
        self._append(ids[:room], POLICY)
        self._steps += 1
        if len(ids) > room:
            reward, info = self._run_out()
        else:
            reward, info = self._end_turn_or_undo(text, finish_reason, len(ids))
        return self._observation(), reward, self._terminated, self._truncated, self._finish(info)

    def _read(self, action: Any) -> tuple[list[int], str]:
        """The tokens of a response, at most the budget and without the end of turn, and its text."""
        tokenizer, budget = self.mdp.tokenizer, self.mdp.max_response_tokens
        if self._takes_tokens:
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
        if self._takes_tokens:
            return {"tokens": self._tokens.copy(), "roles": self._roles.copy()}
        return "".join(self.episode.messages) + self.partial
