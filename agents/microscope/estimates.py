"""Advantages of the same episodes by every estimator: the rows of the table of algorithms, and GAE."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from textmdp.agents.algorithms.advantages import Floats, generalized_advantages
from textmdp.agents.algorithms.objectives import OBJECTIVES, AdvantageInputs
from textmdp.agents.microscope.records import Estimator

#: λ of the estimators "gae", beside that of the settings.
LAMBDAS = (0.0, 0.95, 1.0)


def without_value(inputs: AdvantageInputs, gamma: float) -> tuple[dict[str, Floats], dict[str, str]]:
    """The advantages of the rows that need no value function, by name, (B, T), and the reasons of those left out.

    Rewards and baselines are those of the whole batch, as in training, and so is the whitening of the rows that whiten.

    Args:
        inputs: of the whole batch.
        gamma: γ in [0, 1].
    """
    found, left_out = {}, {}
    for name, objective in OBJECTIVES.items():
        if objective.has_value:
            continue
        if objective.baseline == "greedy" and inputs.greedy_returns is None:
            left_out[name] = "the agent has no greedy version to compare with"
            continue
        found[name] = objective.normalize(objective.advantages(inputs, gamma), inputs.mask)
    return found, left_out


def with_value(inputs: AdvantageInputs, gamma: float, gae_lambda: float) -> dict[str, Floats]:
    """The advantages of the rows that need a value function, by name, (B, T).

    Args:
        inputs: of some episodes, with values.
        gamma: γ in [0, 1].
        gae_lambda: λ in [0, 1].
    """
    rows = {name: objective for name, objective in OBJECTIVES.items() if objective.has_value}
    return {
        name: objective.normalize(objective.advantages(inputs, gamma, gae_lambda), inputs.mask)
        for name, objective in rows.items()
    }


def gae(inputs: AdvantageInputs, values: Floats, last_values: Floats, gamma: float) -> dict[str, Floats]:
    """Generalized advantages for each of `LAMBDAS`, by name, (B, T), with values that are known otherwise.

    Args:
        inputs: of some episodes.
        values: (B, T), V of the state before each token.
        last_values: (B,), V after each episode.
        gamma: γ in [0, 1].
    """
    given = replace(inputs, values=values, last_values=last_values)
    return {
        f"gae λ={lam:g}": generalized_advantages(
            given.rewards, values, last_values, given.mask, gamma, lam, time=given.time
        )
        for lam in LAMBDAS
    }


def described(name: str, values: str, learnt: bool) -> Estimator:
    """An estimator with its summary.

    Args:
        name: of a row, or of `gae`, or "exact", "branches" or "vine".
        values: the source of the values that GAE uses, in words.
        learnt: whether the rows with a value function use the one that was learnt.
    """
    own = {
        "exact": "A(s, a) = Q(s, a) − V(s), by backward induction over all prefixes: the truth",
        "branches": "Q̂(s, a) − V̂(s): means of branches that begin with the token, and of branches from the state",
        "vine": "r + γ V̂(s′) − V̂(s): one-step differences of branched values (VinePPO, arXiv 2410.01679)",
    }
    if name in own:
        return Estimator(name, own[name])
    if name.startswith("gae"):
        return Estimator(name, f"generalized advantages with {values} (arXiv 1506.02438)")
    objective = OBJECTIVES[name]
    source = f"; V: {'learnt' if learnt else values}" if objective.has_value else ""
    whitened = "; whitened" if objective.whitened else ""
    return Estimator(name, f"{objective.summary}{whitened}{source}")


def agreement(estimate: Floats, reference: Floats) -> tuple[float | None, int]:
    """The correlation with a reference, (T,) each, None where one doesn't vary, and the number of equal signs."""
    same = int((np.sign(np.round(estimate, 9)) == np.sign(np.round(reference, 9))).sum())
    if np.ptp(estimate) < 1e-9 or np.ptp(reference) < 1e-9:
        return None, same
    return float(np.corrcoef(estimate, reference)[0, 1]), same
