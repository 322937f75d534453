"""The content of a credit microscope, as plain data: episodes, their tokens, and other branches of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Estimator:
    """An estimator of advantages."""

    name: str
    """As the page shows it."""
    summary: str
    """One line."""


@dataclass(frozen=True)
class Alternative:
    """A token that the policy could have written, and the branches that begin with it."""

    token: int
    """Its id."""
    text: str
    """Its text; "" for the end of the turn."""
    probability: float
    """Under the policy."""
    chosen: bool
    """True for the token of the episode."""
    exact: float | None
    """A(s, a); None where there are no exact values."""
    advantage: float
    """Q̂(s, a) − V̂(s), by branching."""
    error: float
    """Its standard error."""
    returns: tuple[float, ...]
    """The discounted rewards to go of each branch, this token's reward included; their mean is Q̂(s, a)."""
    continuation: tuple[tuple[str, str], ...]
    """The messages of one branch after the prompt that both share: role and text."""


@dataclass(frozen=True)
class Token:
    """A token of the policy."""

    text: str
    """Its text; "" for the end of the turn."""
    turn: int
    """The turn that it belongs to, from 0."""
    log_prob: float
    """Its log-probability in nats, under the policy."""
    entropy: float
    """The entropy in nats of the distribution that it was drawn from."""
    reward: float
    """The reward that was paid at it."""
    values: dict[str, float]
    """V of the state before it, by source: "exact", "branches", "learnt"."""
    value_error: float
    """The standard error of the one by branching."""
    advantages: dict[str, float]
    """By estimator."""
    errors: dict[str, float]
    """Standard errors, of the estimators that have them."""
    alternatives: tuple[Alternative, ...]
    """From the most likely on; the token itself is one of them."""


@dataclass(frozen=True)
class Turn:
    """The ledger of a turn."""

    response: str
    """The text that the policy wrote."""
    ledger: str
    """The reward and its parts, in one line."""
    reward: float
    """The reward of the turn."""


@dataclass(frozen=True)
class EpisodeCredit:
    """An episode under the microscope."""

    title: str
    """The problem, and which episode of its group this is."""
    total: float
    """The undiscounted return."""
    group_returns: tuple[float, ...]
    """The returns of all episodes of the group."""
    ended: str
    """How it ended."""
    pieces: tuple[str | int, ...]
    """The transcript in its order: texts of the environment, and the numbers of tokens."""
    tokens: tuple[Token, ...]
    """The policy's tokens."""
    turns: tuple[Turn, ...]
    """The ledger."""
    agreement: dict[str, tuple[float | None, int]]
    """By estimator: the correlation with the reference, None where one doesn't vary, and the number of equal signs."""
    verdict: str
    """Which token mattered most, and where the reward was paid."""


@dataclass(frozen=True)
class Credit:
    """Episodes of an agent with the advantages of all their tokens.

    Attributes:
        env_id: the environment's id.
        arguments: its arguments.
        agent: the agent's name.
        settings: discount, group size and numbers of branches.
        estimators: in the order of the page.
        left_out: estimators that need something that is not there, and the reason.
        reference: the name of the estimator that others are compared with: "exact", or else "branches".
        episodes: the episodes.
    """

    env_id: str
    arguments: dict[str, Any]
    agent: str
    settings: dict[str, Any]
    estimators: tuple[Estimator, ...]
    left_out: dict[str, str]
    reference: str
    episodes: tuple[EpisodeCredit, ...]

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)
