"""Checks of a batch of episodes: masks, rewards, log-probabilities and ends of turns are as training expects.

A batch fails only if a view, a tokenizer or a rollout has a bug. Each of these has been wrong in some library without
an error, and checking the first batch of a run takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.rollouts.trajectories import Trajectories
from textmdp.envs.core.episode import ENVIRONMENT, POLICY
from textmdp.envs.tokenizers import Tokenizer

#: The log-probability of a certain token may be above 0 by rounding.
ROUNDING = 1e-6

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Finding:
    """Something wrong with a batch or a run.

    Attributes:
        name: of the alarm, such as "entropy-collapse".
        severity: "error" if the run is worthless and should stop; "warning" if it is worth a look.
        message: the fault, with its numbers.
        remedy: how to mend it.
    """

    name: str
    severity: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.message}: {self.remedy}"


def first_batch(batch: Trajectories, tokenizer: Tokenizer) -> list[Finding]:
    """The faults of a batch, as errors that name the first row and position of each; an empty list if it has none.

    Args:
        batch: B episodes as `rollout` returns them.
        tokenizer: of the environment.
    """
    mask = batch.mask
    faults = _Faults(batch, tokenizer)
    faults.check(
        "prompt",
        (np.arange(mask.shape[1]) == 0) & (batch.roles[:, :1] != ENVIRONMENT),
        lambda row, at: "no token of the environment comes before the policy's first",
        "a language model needs a prompt to go on from; look at the task's opening and the tokenizer's `opening`",
    )
    faults.check(
        "mask",
        mask != (batch.turns >= 0),
        lambda row, at: (
            f"{faults.token(row, at)} is in the mask, and no turn of the policy has it"
            if mask[row, at]
            else f"the policy wrote {faults.token(row, at)}, and the mask leaves it out"
        ),
        "train on the policy's tokens and on no others; take the mask from roles, never from ids",
    )
    faults.check(
        "turns",
        _falls(batch.turns, mask),
        lambda row, at: f"the turn is {batch.turns[row, at]}, and was greater before",
        "episodes are append-only; look whether rows were mixed up or restarted without a reset",
    )
    faults.check(
        "end-of-turn",
        _open_ends(batch, tokenizer.end_id),
        lambda row, at: f"a finished response ends in {faults.token(row, at)}, and not in the end-of-turn token",
        "a policy that isn't trained on its end never learns to stop; keep that token, and in the mask",
    )
    faults.check(
        "rewards",
        np.where(mask, ~np.isfinite(batch.rewards), batch.rewards != 0),
        lambda row, at: (
            f"the reward {batch.rewards[row, at]:g} is on {faults.token(row, at)}"
            + ("" if mask[row, at] else ", which the policy didn't write")
        ),
        "rewards are finite, and on the policy's token that earned them",
    )
    if batch.log_probs is not None:
        log_probs = batch.log_probs
        fine = np.isfinite(log_probs) & (log_probs <= ROUNDING)
        faults.check(
            "log-probs",
            np.where(mask, ~fine, log_probs != 0),
            lambda row, at: (
                f"the log-probability of {faults.token(row, at)} is {log_probs[row, at]:g}"
                + ("" if mask[row, at] else ", and the policy didn't write it")
            ),
            "log-probabilities are finite and at most 0 on the policy's tokens, and 0 elsewhere",
        )
    return faults.findings


class _Faults:
    """Findings of a batch, each with its first place."""

    def __init__(self, batch: Trajectories, tokenizer: Tokenizer) -> None:
        self.findings: list[Finding] = []
        self._batch, self._tokenizer = batch, tokenizer

    def check(self, name: str, wrong: Mask, describe: Callable[[int, int], str], remedy: str) -> None:
        """Add an error if anything is wrong, (B, T); `describe(row, position)` gives its message."""
        rows, positions = wrong.nonzero()
        if not len(rows):
            return
        row, at = int(rows[0]), int(positions[0])
        others = f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
        message = f"row {row}, position {at}: {describe(row, at)}{others}"
        self.findings.append(Finding(name, "error", message, remedy))

    def token(self, row: int, at: int) -> str:
        """The text of a token."""
        return repr(self._tokenizer.token_text(int(self._batch.tokens[row, at])))


def _falls(turns: NDArray[np.int32], mask: Mask) -> Mask:
    """The policy's tokens whose turn is below that of a token before them, (B, T)."""
    return mask & (turns < np.maximum.accumulate(np.where(mask, turns, -1), axis=1))


def _open_ends(batch: Trajectories, end_id: int) -> Mask:
    """The last tokens of finished responses that aren't the end-of-turn token, (B, T).

    The finish reason of an episode is that of its last response: "stop" needs the token in the mask. Earlier responses
    may have been cut by their budget; the environment then closes them with the same token outside the mask.
    """
    tokens, roles, turns = batch.tokens, batch.roles, batch.turns
    wrong = np.zeros(tokens.shape, bool)
    for row, (episode, reason) in enumerate(zip(batch.episodes, batch.finish_reasons, strict=True)):
        written = np.flatnonzero(roles[row] == POLICY)
        if not len(written):
            continue
        numbers = turns[row, written]
        for at in written[np.append(numbers[1:] != numbers[:-1], True)].tolist():  # the last token of each response
            if tokens[row, at] == end_id:
                continue
            if turns[row, at] == episode.turn - 1 and reason in ("stop", "length"):
                wrong[row, at] = reason == "stop"
            elif at < written[-1]:
                closed = roles[row, at + 1] == ENVIRONMENT and tokens[row, at + 1] == end_id
                wrong[row, at] = not closed
    return wrong
