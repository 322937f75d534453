"""The smallest counterexample to an estimator: one short episode, token by token, wrong beside right."""

from __future__ import annotations

import numpy as np

from textmdp.agents.credit.bias import statistics
from textmdp.agents.credit.cases import Groups
from textmdp.agents.credit.faults import WITH_EPSILON
from textmdp.envs.views.rendering import visible


def counterexample(groups: Groups) -> str:
    """An episode with a biased token, as a table: A beside the expected estimate; "" if no token is biased.

    Of all episodes that contain a token with half of the largest bias or more it is the shortest, and of these the most
    probable.
    """
    found = statistics(groups, groups.advantages, "tokens")
    if groups.gamma < 1.0:
        by_turns = statistics(groups, groups.advantages, "turns")
        found = min(found, by_turns, key=lambda one: one.largest_bias)
    if found.largest_bias <= WITH_EPSILON:
        return ""
    tree, wrong = groups.case.tree, np.abs(found.bias) >= found.largest_bias / 2
    best: tuple[int, float] | None = None
    chosen = None
    for episodes in groups.case.episodes:
        hit = (wrong[episodes.edges] & episodes.mask).any(1)
        for row in np.flatnonzero(hit).tolist():
            rank = int(episodes.mask[row].sum()), -episodes.weight * float(episodes.probability[row])
            if best is None or rank < best:
                best, chosen = rank, (episodes, row)
    assert chosen is not None
    episodes, row = chosen
    edges = episodes.edges[row][episodes.mask[row]].tolist()
    opening = visible(tree.text(int(tree.edge_prefix[edges[0]])))
    lines = [
        f"The smallest counterexample: {groups.case.name}, groups of {groups.size}, γ = {groups.gamma:g}; the opening "
        f"is {opening!r}.",
        f"{'token':12}{'reward':>8}{'exact A':>10}{'estimate':>10}{'error':>10}",
    ]
    for edge, position in zip(edges, np.flatnonzero(episodes.mask[row]).tolist(), strict=True):
        text = visible(tree.mdp.tokenizer.token_text(int(tree.action[edge])))
        mark = "  ← wrong" if wrong[edge] else ""
        lines.append(
            f"{text:12}{episodes.rewards[row, position]:8.3g}{found.exact[edge]:10.4f}{found.centred[edge]:10.4f}"
            f"{found.bias[edge]:10.4f}{mark}"
        )
    return "\n".join(lines)
