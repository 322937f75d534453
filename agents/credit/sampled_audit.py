"""The referee by sampling, with errors, where nothing can be enumerated: a pretrained model, a long task, large groups.

Let A₁ and A₂ be advantages of a sampled token from two independent sets of branches. Whatever baseline an estimate Â
carries, an unbiased one has E[Â A₁] = E[A₁ A₂] = E[A²]. The ratio of the two sides, the slope of Â on A, is 1 for an
unbiased estimator, (G − 1)/G for one that is shrunk, and is reported with its standard error. It sees biases along A
alone: pay for tokens that don't matter is for `audit` to find.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.credit.branching import branched_values
from textmdp.agents.credit.estimators import Batch, Estimator, estimator_of
from textmdp.agents.credit.prefix_tree import Floats, Ints
from textmdp.agents.rollouts.agent import Action, Agent
from textmdp.agents.rollouts.rollout import rollout
from textmdp.agents.rollouts.trajectories import Trajectories
from textmdp.envs.core.episode import Snapshot
from textmdp.envs.views.token_env import TokenEnv
from textmdp.envs.views.vector_env import TokenVectorEnv

#: Standard errors from 1 beyond which an estimator is convicted: 1 in 16 000 unbiased ones is, by the normal law.
Z = 4.0


@dataclass(frozen=True)
class SampledAudit:
    """The slope of an estimator on A, by sampling.

    Attributes:
        name: of the estimator.
        slope: E[Â A] / E[A²].
        error: its standard error, by the jackknife over groups.
        group_size: G.
        tokens: that the policy wrote for it.
    """

    name: str
    slope: float
    error: float
    group_size: int
    tokens: int

    @property
    def biased(self) -> bool:
        """True if the slope is further from 1 than chance explains."""
        return not abs(self.slope - 1) <= Z * self.error

    @property
    def verdict(self) -> str:
        """One sentence, with the error that it rests on."""
        figures = f"slope on A {self.slope:.3f} ± {self.error:.3f}"
        if not self.biased:
            return f"not convicted: {figures}; a slope further than {Z * self.error:.2g} from 1 would have shown"
        shrunk = (self.group_size - 1) / self.group_size
        if abs(self.slope - shrunk) <= Z * self.error:
            return f"biased: {figures}, as of one that is shrunk by (G − 1)/G = {shrunk:.3f}"
        return f"biased: {figures}, not 1"


def sampled_audit(
    estimator: str | Callable[..., Any] | Estimator,
    agent: Agent,
    envs: TokenVectorEnv[Any],
    *,
    group_size: int = 4,
    branches: int = 8,
    gamma: float = 1.0,
    discount_unit: str = "tokens",
    seed: int = 0,
) -> SampledAudit:
    """Judge an estimator on episodes of an agent, such as a `LanguageModelAgent` of a pretrained model.

    One token of each episode is judged, with four times `branches` episodes that go on from it.

    Args:
        estimator: see `audit`; one that needs V is refused.
        agent: the policy.
        envs: with autoreset disabled (`make_envs`); its rows are the episodes, a multiple of `group_size`.
        group_size: G.
        branches: episodes of each estimate of V or Q, at least 2.
        gamma: γ.
        discount_unit: "tokens" or "turns", by which A is discounted.
        seed: of problems, chance and the choice of tokens.

    Raises:
        TypeError: the estimator needs V.
        ValueError: the rows are no multiple of the group size, or fewer than two groups.
    """
    judged = estimator_of(estimator, discount_unit)
    if judged.takes_values:
        raise TypeError(f"{judged.name} needs V, which a large task has not: judge it with audit()")
    count, odd = divmod(envs.num_envs, group_size)
    if odd or count < 2:
        raise ValueError(f"{envs.num_envs} rows are no two or more groups of {group_size}: make_envs(id, n · G)")
    rng = np.random.default_rng(seed)
    problems = np.repeat(rng.integers(envs.mdp.task.num_problems or 2**62, size=count), group_size)
    groups = np.repeat(np.arange(count), group_size)
    envs.reset(seed=seed, options={"problem": problems})
    openings = envs.snapshot()  # the rollout's reset with the same seed gives the same episodes
    batch = rollout(agent, envs, seed=seed, problems=problems.tolist(), groups=groups)
    estimates = _estimates(judged, batch, count, group_size, gamma)
    positions = np.array([rng.choice(np.flatnonzero(own)) for own in batch.mask])
    rows = np.arange(len(batch))
    snapshots = [_at(envs, openings[row], batch, row, int(positions[row])) for row in rows.tolist()]
    forced = batch.tokens[rows, positions]
    draws, tokens = [], int(batch.mask.sum())
    for half in range(2):
        options = {"gamma": gamma, "discount_unit": discount_unit}
        v = branched_values(agent, envs, snapshots, branches, **options, seed=seed + 2 * half + 1)  # type: ignore[arg-type]
        q = branched_values(
            _Forced(agent, np.repeat(forced, branches)),
            envs,
            snapshots,
            branches,
            **options,  # type: ignore[arg-type]
            seed=seed + 2 * half + 2,
        )
        draws.append(q.mean - v.mean)
        tokens += v.tokens + q.tokens
    weights = batch.lengths.astype(np.float64)  # one token of each episode stands for all of its tokens
    above = weights * estimates[rows, positions] * (draws[0] + draws[1]) / 2
    below = weights * draws[0] * draws[1]
    above, below = above.reshape(count, -1).sum(1), below.reshape(count, -1).sum(1)  # by group
    slope = above.sum() / below.sum()
    left_out = (above.sum() - above) / (below.sum() - below)
    error = np.sqrt((count - 1) / count * ((left_out - left_out.mean()) ** 2).sum())
    return SampledAudit(judged.name, float(slope), float(error), group_size, tokens)


class _Forced:
    """An agent whose first token in each row is given."""

    def __init__(self, agent: Agent, tokens: Ints) -> None:
        self.agent, self.tokens = agent, tokens  # in the order of the branches
        self._given = 0
        self._first = False

    def begin(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> None:
        """Prepare the agent for new branches."""
        self.agent.begin(envs, rows)
        self._first = True

    def act(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> Action:
        """The given tokens, and then the agent's."""
        if not self._first:
            return self.agent.act(envs, rows)
        self._first = False
        start, self._given = self._given, self._given + len(rows)
        return Action(self.tokens[start : self._given])


def _estimates(judged: Estimator, batch: Trajectories, count: int, size: int, gamma: float) -> Floats:
    """Advantages of all episodes, (B, T), computed a group at a time."""
    found = np.zeros(batch.mask.shape)
    for group in range(count):
        some = slice(group * size, (group + 1) * size)
        mask = batch.mask[some]
        found[some] = judged(
            Batch(
                batch.rewards[some],
                mask,
                batch.turns[some].astype(np.int64),
                np.zeros(size, np.int64),
                gamma,
                np.zeros(mask.shape),
                np.zeros(size),
            )
        )
    return found


def _at(
    envs: TokenVectorEnv[Any], opening: Snapshot[Any], batch: Trajectories, row: int, position: int
) -> Snapshot[Any]:
    """The state before the token at `position` of an episode, which is played again to there."""
    mdp = envs.mdp
    env = TokenEnv(
        mdp.task,
        tokenizer=mdp.tokenizer,
        max_response_tokens=mdp.max_response_tokens,
        context_length=mdp.context_length,
    )
    env.restore(opening)
    before = np.flatnonzero(batch.mask[row, :position])
    for token in batch.tokens[row, before].tolist():
        env.step(token)
    return env.snapshot()
