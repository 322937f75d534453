"""Whether a batch of episodes is what training takes it for: masks, rewards, log-probabilities, ends of turns.

Nothing here can be wrong unless a view, a tokenizer or a rollout has a bug. All of it has been wrong in some library,
without an error: one look at the first batch of a run costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.rollouts.trajectories import Trajectories
from textmdp.agents.runs.doctor import Finding
from textmdp.envs.core.episode import ENVIRONMENT, POLICY
from textmdp.envs.tokenizers import Tokenizer

#: log π of a token that is certain may round to something above 0.
ROUNDING = 1e-6

Where = NDArray[np.bool_]


def first_batch(batch: Trajectories, tokenizer: Tokenizer) -> list[Finding]:
    """What is wrong with a batch: nothing, one hopes; otherwise errors that name the first row and position.

    Args:
        batch: B episodes as `rollout` gives them.
        tokenizer: of the environment.
    """
    mask = batch.mask
    told = _Teller(batch, tokenizer)
    told.where(
        "prompt",
        (np.arange(mask.shape[1]) == 0) & (batch.roles[:, :1] != ENVIRONMENT),
        lambda row, at: "no token of the environment comes before the policy's first",
        "a language model needs a prompt to go on from; look at the task's opening and the tokenizer's `opening`",
    )
    told.where(
        "mask",
        mask != (batch.turns >= 0),
        lambda row, at: (
            f"{told.token(row, at)} is in the mask, and no turn of the policy has it"
            if mask[row, at]
            else f"{told.token(row, at)} was said by the policy, and the mask leaves it out"
        ),
        "train on the policy's tokens and on no others; take the mask from roles, never from ids",
    )
    told.where(
        "turns",
        _falls(batch.turns, mask),
        lambda row, at: f"the turn is {batch.turns[row, at]}, and was greater before",
        "episodes are append-only; look whether rows were mixed up or begun anew without a reset",
    )
    told.where(
        "end-of-turn",
        _open_ends(batch, tokenizer.end_id),
        lambda row, at: f"a finished response ends in {told.token(row, at)}, and not in the end-of-turn token",
        "a policy that isn't trained on its end never learns to stop; keep that token, and in the mask",
    )
    told.where(
        "rewards",
        np.where(mask, ~np.isfinite(batch.rewards), batch.rewards != 0),
        lambda row, at: (
            f"the reward {batch.rewards[row, at]:g} is on {told.token(row, at)}"
            + ("" if mask[row, at] else ", which the policy didn't say")
        ),
        "rewards are finite, and on the policy's token that earned them",
    )
    if batch.log_probs is not None:
        log_probs = batch.log_probs
        fine = np.isfinite(log_probs) & (log_probs <= ROUNDING)
        told.where(
            "log-probs",
            np.where(mask, ~fine, log_probs != 0),
            lambda row, at: (
                f"the log-probability of {told.token(row, at)} is {log_probs[row, at]:g}"
                + ("" if mask[row, at] else ", and the policy didn't say it")
            ),
            "log-probabilities are finite and at most 0 where the policy spoke, and 0 elsewhere",
        )
    return told.findings


class _Teller:
    """Findings of a batch, each with the first place where it holds."""

    def __init__(self, batch: Trajectories, tokenizer: Tokenizer) -> None:
        self.findings: list[Finding] = []
        self._batch, self._tokenizer = batch, tokenizer

    def where(self, name: str, wrong: Where, what: Callable[[int, int], str], remedy: str) -> None:
        """An error, if something is wrong anywhere, (B, L)."""
        rows, positions = wrong.nonzero()
        if not len(rows):
            return
        row, at = int(rows[0]), int(positions[0])
        others = f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
        message = f"row {row}, position {at}: {what(row, at)}{others}"
        self.findings.append(Finding(name, "error", message, remedy))

    def token(self, row: int, at: int) -> str:
        """A token for people."""
        return repr(self._tokenizer.token_text(int(self._batch.tokens[row, at])))


def _falls(turns: NDArray[np.int32], mask: Where) -> Where:
    """Where the turn of a policy's token is below that of one before it, (B, L)."""
    return mask & (turns < np.maximum.accumulate(np.where(mask, turns, -1), axis=1))


def _open_ends(batch: Trajectories, end_id: int) -> Where:
    """The last tokens of responses that were finished and don't end in the end-of-turn token, (B, L).

    Of the last finished response the reason is known: "stop" needs the token in the mask. Earlier ones may have been
    cut by their budget, and are then closed by the environment, which says the same token outside the mask.
    """
    tokens, roles, turns = batch.tokens, batch.roles, batch.turns
    wrong = np.zeros(tokens.shape, bool)
    for row, (episode, reason) in enumerate(zip(batch.episodes, batch.finish_reasons, strict=True)):
        said = np.flatnonzero(roles[row] == POLICY)
        if not len(said):
            continue
        numbers = turns[row, said]
        for at in said[np.append(numbers[1:] != numbers[:-1], True)].tolist():  # the last token of each response
            if tokens[row, at] == end_id:
                continue
            if turns[row, at] == episode.turn - 1 and reason in ("stop", "length"):
                wrong[row, at] = reason == "stop"
            elif at < said[-1]:
                closed = roles[row, at + 1] == ENVIRONMENT and tokens[row, at + 1] == end_id
                wrong[row, at] = not closed
    return wrong
