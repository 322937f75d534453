"""Bias, variance and the other figures of an estimator, from the advantages of all groups of a case."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from textmdp.agents.credit.cases import Groups
from textmdp.agents.credit.prefix_tree import Floats


@dataclass(frozen=True)
class Statistics:
    """The figures of an estimator on one case, exact but for rounding. E edges, N prefixes.

    Attributes:
        mass: (E,), the expected number of times that an episode takes each edge.
        expected: (E,), the expected estimate given the edge.
        centred: (E,), the same minus its mean over the tokens of the prefix, weighted by the policy: a constant of the
            prefix changes no expected gradient, so an estimate of Q, or of A plus any baseline, is unbiased.
        exact: (E,), A.
        bias: (E,), `centred` minus A.
        variance: the mean square of the estimate minus its expectation given the edge.
        correlation: of the estimate with A, over all tokens.
        sign_agreement: the share of tokens with A ≠ 0 whose estimate has the sign of A.
        cosine: between the expected gradient and the exact one, in the logits of a table.
    """

    mass: Floats
    expected: Floats
    centred: Floats
    exact: Floats
    bias: Floats
    variance: float
    correlation: float
    sign_agreement: float
    cosine: float

    @property
    def largest_bias(self) -> float:
        """The largest absolute bias."""
        return float(np.abs(self.bias).max())


def statistics(groups: Groups, advantages: Floats, clock: str) -> Statistics:
    """The figures of some advantages, (K, G, T), of all groups of a case.

    Args:
        groups: all groups.
        advantages: (K, G, T), those of the estimator, or repaired ones.
        clock: "tokens" or "turns", by which the exact A is discounted.
    """
    tree, policy = groups.case.tree, groups.case.policy
    values = groups.case.exact(groups.gamma, clock)
    exact, mask = values.a, groups.mask
    edges = groups.edges[mask]
    weights = np.broadcast_to(groups.probability[:, None, None] / groups.size, mask.shape)[mask]
    found = advantages[mask]

    def sums(amounts: Floats) -> Floats:
        return np.bincount(edges, weights * amounts, tree.num_edges).astype(np.float64)

    mass = sums(np.ones_like(found))
    first, second = sums(found), sums(found**2)
    expected = first / mass
    offsets = np.add.reduceat(policy * expected, tree.first_edge[:-1])
    centred = expected - offsets[tree.edge_prefix]
    variance = float(second.sum() - (first**2 / mass).sum()) / float(mass.sum())
    truth = exact[edges]
    share = weights / weights.sum()
    spread = found - share @ found, truth - share @ truth
    scale = np.sqrt((share @ spread[0] ** 2) * (share @ spread[1] ** 2))
    matters = np.abs(truth) > 1e-9
    agreeing = share[matters] @ (np.sign(found[matters]) == np.sign(truth[matters]))
    gradient, right = mass * centred, mass * exact
    lengths = np.linalg.norm(gradient) * np.linalg.norm(right)
    return Statistics(
        mass,
        expected,
        centred,
        exact,
        centred - exact,
        max(variance, 0.0),
        float(share @ (spread[0] * spread[1]) / scale) if scale > 1e-12 else 0.0,
        float(agreeing / share[matters].sum()) if matters.any() else 1.0,
        float(gradient @ right / lengths) if lengths > 1e-12 else 0.0,
    )
