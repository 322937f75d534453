"""Dynamic sampling: groups without reward variance give a group baseline nothing to learn from, and are replaced.

Yu et al. 2025 (DAPO, arXiv 2503.14476). The gradient becomes that of another distribution of problems: one without
those that the policy always or never solves.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from textmdp.agents.algorithms.baselines import has_reward_variance
from textmdp.agents.rollouts.trajectories import Trajectories, merge


def resample(batch: Trajectories, collect: Callable[[], Trajectories], attempts: int) -> Trajectories:
    """A batch of the same size with groups of reward variance in place of those without, as far as they are found.

    Groups without variance of the first batch fill what is missing after the last attempt.

    Args:
        batch: B episodes in groups of one size.
        collect: collects another batch of B episodes in groups of that size.
        attempts: how many more batches may be collected.
    """
    batches, kept = [batch], [np.flatnonzero(has_reward_variance(batch.returns, batch.groups))]
    while sum(map(len, kept)) < len(batch) and len(batches) <= attempts:
        batches.append(collect())
        kept.append(np.flatnonzero(has_reward_variance(batches[-1].returns, batches[-1].groups)))
    missing = len(batch) - sum(map(len, kept))
    if missing > 0:
        constant = np.flatnonzero(~has_reward_variance(batch.returns, batch.groups))
        kept[0] = np.concatenate([kept[0], constant[:missing]])
    else:
        kept[-1] = kept[-1][: len(kept[-1]) + missing]
    return merge(batches, kept)
