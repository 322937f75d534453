"""Faults of estimators in words: each is found by undoing it, and seeing whether the rest is exact.

An estimator is biased if its expectation given a token, minus a constant of the prefix, isn't A. Undoing a fault, such
as to multiply by the length |o| what was divided by it, leaves an exact estimate up to a constant factor. Expectations
are sums over every group of episodes, so that nothing here is a matter of luck.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from textmdp.agents.credit.bias import Statistics, statistics
from textmdp.agents.credit.cases import Groups
from textmdp.agents.credit.exact_values import exact_values
from textmdp.agents.credit.prefix_tree import Floats

#: A bias that rounding explains; with a division by a deviation plus ε, what ε explains.
ROUNDING, WITH_EPSILON = 1e-8, 2e-3
#: The share of the bias on TextStopping that a constant for every further turn must explain.
EXPLAINED = 0.95


class Repair(NamedTuple):
    """Factors that undo a fault."""

    words: str
    factors: Callable[[Groups], Floats]
    tolerance: float


def _lengths(groups: Groups) -> Floats:
    return groups.mask.sum(2)[:, :, None].astype(np.float64)


def _mean_lengths(groups: Groups) -> Floats:
    return _lengths(groups).mean(1, keepdims=True)


def _deviations(groups: Groups) -> Floats:
    return groups.rewards.sum(2).std(1, ddof=1)[:, None, None]


def _inverse_discount(unit: str) -> Callable[[Groups], Floats]:
    def factors(groups: Groups) -> Floats:
        tree = groups.case.tree
        prefix = np.where(groups.mask, tree.edge_prefix[groups.edges], 0)
        time = tree.turn[prefix] if unit == "turns" else groups.mask.cumsum(2) - 1
        return np.where(groups.mask, groups.gamma ** -time.astype(np.float64), 0.0)

    return factors


_BY_LENGTH = "weights tokens by 1/|o|: a token of a long episode counts less, so long wrong answers are preferred"
_BY_MEAN = "divides by the mean length of the batch, which the episodes choose"
_BY_STD = "divides by the group's deviation: problems count more the less their returns differ"
#: Repairs that are tried in this order; with γ = 1.
REPAIRS: tuple[tuple[Repair, ...], ...] = (
    (),
    (Repair(_BY_LENGTH, _lengths, ROUNDING),),
    (Repair(_BY_MEAN, _mean_lengths, ROUNDING),),
    (Repair(_BY_STD, _deviations, WITH_EPSILON),),
    (Repair(_BY_STD, _deviations, WITH_EPSILON), Repair(_BY_LENGTH, _lengths, ROUNDING)),
    (Repair(_BY_STD, _deviations, WITH_EPSILON), Repair(_BY_MEAN, _mean_lengths, ROUNDING)),
)
#: Repairs that are tried besides with γ < 1.
EXTRA_DISCOUNTS = {
    unit: Repair(f"an extra γ^t, t in {unit}: the later a token, the less it counts", _inverse_discount(unit), ROUNDING)
    for unit in ("tokens", "turns")
}


class Fit(NamedTuple):
    """An estimator after repairs: exact up to a factor for each size of groups."""

    repairs: tuple[Repair, ...]
    factors: dict[int, float]


def fit(results: Sequence[Groups], repairs: tuple[Repair, ...], clock: str) -> Fit | None:
    """The factor by which the repaired estimate is A, for each size of groups; None if there is no such factor."""
    factors = {}
    tolerance = max([ROUNDING, *(repair.tolerance for repair in repairs)])
    for size in sorted({groups.size for groups in results}):
        found = []
        for groups in results:
            if groups.size == size:
                advantages = groups.advantages
                for repair in repairs:
                    advantages = advantages * repair.factors(groups)
                found.append(statistics(groups, advantages, clock))
        square = sum(float(s.mass @ s.exact**2) for s in found)
        factor = sum(float(s.mass @ (s.centred * s.exact)) for s in found) / square
        rest = max(float(np.abs(s.centred - factor * s.exact).max()) for s in found)
        scale = max(1.0, max(float(np.abs(s.exact).max()) for s in found))
        if factor <= 1e-6 or rest > tolerance * scale * max(factor, 1.0):
            return None
        factors[size] = factor
    return Fit(repairs, factors)


def first_fit(results: Sequence[Groups], clock: str) -> Fit | None:
    """The simplest of `REPAIRS` that leaves an exact estimate; None if there is none."""
    return next(filter(None, (fit(results, repairs, clock) for repairs in REPAIRS)), None)


def factor_in_words(factors: dict[int, float], tolerance: float = WITH_EPSILON) -> str:
    """A factor for each size of groups, as a fault; "" for 1, and for a constant that says nothing of the groups."""

    def equal(rule: Callable[[int], float]) -> bool:
        return all(abs(factor - rule(size)) <= tolerance for size, factor in factors.items())

    if equal(lambda size: 1.0):
        return ""
    if equal(lambda size: (size - 1) / size):
        return "shrunk by (G − 1)/G, since an episode is part of its own baseline"
    if equal(lambda size: size / (size - 1)):
        return "stretched by G/(G − 1)"
    if np.ptp([*factors.values()]) <= tolerance:
        return f"multiplied by {next(iter(factors.values())):.3g}"
    return "multiplied by " + ", ".join(f"{factor:.3g} for G = {size}" for size, factor in factors.items())


def silent_turns(results: Sequence[Groups]) -> list[int]:
    """The turns, of episodes of several, whose tokens get 0 whatever happens, though their advantages are not 0."""
    found: list[int] = []
    for groups in results:
        tree, mask = groups.case.tree, groups.mask
        if not tree.turn.max():
            continue
        exact = groups.case.exact(groups.gamma, "tokens").a
        turns = np.where(mask, tree.turn[tree.edge_prefix[groups.edges]], -1)
        for turn in range(int(tree.turn.max()) + 1):
            here = turns == turn
            matters = np.abs(exact[tree.turn[tree.edge_prefix] == turn]).max() > ROUNDING
            if matters and not groups.advantages[here].any() and groups.advantages[~here].any():
                found.append(turn)
    return sorted(set(found))


def writes_off_policy(results: Sequence[Groups]) -> bool:
    """True if tokens of the environment get advantages."""
    return any(bool(groups.advantages[~groups.mask].any()) for groups in results)


def ignores_scale(results: Sequence[Groups]) -> bool:
    """True if twice the rewards give the same advantages, but for an ε beside a deviation, though not all are 0."""
    some = [groups for groups in results if np.abs(groups.advantages).max() > ROUNDING]
    return bool(some) and all(
        np.abs(groups.doubled - groups.advantages).max() <= 0.05 * np.abs(groups.advantages).max() for groups in some
    )


def same_for_every_token(results: Sequence[Groups]) -> bool:
    """True if all tokens of an episode get one number, in every episode."""
    for groups in results:
        low = np.where(groups.mask, groups.advantages, np.inf).min(2)
        high = np.where(groups.mask, groups.advantages, -np.inf).max(2)
        if (high - low).max() > ROUNDING:
            return False
    return True


def pay_for_turns(groups: Groups, found: Statistics) -> float | None:
    """The bias that each further turn earns, if a constant explains it; None otherwise."""
    tree = groups.case.tree
    begins = np.zeros(tree.num_edges)
    later = np.flatnonzero((tree.written == 0) & (tree.parent_edge >= 0))
    np.add.at(begins, tree.parent_edge[later], tree.chance[later])
    turns = exact_values(replace(tree, reward=begins), groups.case.policy).a
    square, product = float(found.mass @ turns**2), float(found.mass @ (turns * found.bias))
    total = float(found.mass @ found.bias**2)
    if square < ROUNDING or total < ROUNDING or product**2 / (square * total) < EXPLAINED:
        return None
    return product / square
