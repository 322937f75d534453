"""`examine`: play groups of episodes, and put some of them under the microscope."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.algorithms.advantages import discounted_returns, rewards_to_go, time_steps
from textmdp.agents.algorithms.objectives import AdvantageInputs
from textmdp.agents.credit.exact_values import ExactValues, exact_values
from textmdp.agents.microscope.episode import Episode, episode_credit
from textmdp.agents.microscope.estimates import described, gae, with_value, without_value
from textmdp.agents.microscope.records import Credit
from textmdp.agents.microscope.settings import Settings
from textmdp.agents.rollouts.agent import Agent
from textmdp.agents.rollouts.rollout import make_envs, rollout
from textmdp.agents.rollouts.scripted import RandomAgent
from textmdp.agents.rollouts.trajectories import Trajectories
from textmdp.envs.core.episode import POLICY, Snapshot
from textmdp.envs.views.vector_env import TokenVectorEnv

if TYPE_CHECKING:
    from textmdp.agents.models.value_function import ValueFunction

Floats = NDArray[np.float64]

#: The rows that branches are played in.
MOST_ROWS = 1024


def examine(
    agent: Agent,
    env_id: str,
    arguments: Mapping[str, Any],
    problems: Sequence[int],
    settings: Settings | None = None,
    *,
    name: str = "",
    greedy: Agent | None = None,
    value: ValueFunction | None = None,
    running_mean: float | None = None,
) -> Credit:
    """Play a group of episodes of each problem, and measure the best and the worst of each group token by token.

    Args:
        agent: random, an expert or a language model that samples; its episodes and branches are the policy's.
        env_id: a token-level id.
        arguments: of the environment.
        problems: their numbers, one group each.
        settings: None for the defaults.
        name: of the agent, for the title.
        greedy: the agent that takes the most likely tokens, for ReMax; None leaves that row out.
        value: the learnt value function; None gives the algorithms that need one exact or branched values.
        running_mean: the running mean of returns of the training; None for the mean return of another batch.

    Raises:
        TypeError: the probabilities of the agent are unknown, see `textmdp.agents.microscope.policies.distributions`.
        ValueError: the rewards of the environment are dense, or a setting is too small.
    """
    settings = settings or Settings()
    groups = np.repeat(np.arange(len(problems)), settings.group_size)
    played = np.repeat(np.asarray(problems, np.int64), settings.group_size)
    envs = make_envs(env_id, len(played), **arguments)
    if envs.mdp.dense:
        raise ValueError('the microscope needs reward="sparse": a shaped reward moves credit by itself')
    envs.reset(seed=settings.seed, options={"problem": played})
    openings = envs.snapshot()
    batch = rollout(agent, envs, seed=settings.seed, problems=played.tolist(), groups=groups)
    inputs = _inputs(batch, settings)
    if running_mean is None:
        earlier = rollout(agent, envs, seed=settings.seed + len(played), problems=played.tolist(), groups=groups)
        running_mean = float(_returns(_inputs(earlier, settings), settings).mean())
    if greedy is not None:
        best = rollout(greedy, envs, seed=settings.seed + 2 * len(played), problems=played.tolist(), groups=groups)
        inputs = replace(inputs, greedy_returns=_returns(_inputs(best, settings), settings))
    inputs = replace(inputs, running_mean=running_mean)
    by_row, left_out = without_value(inputs, settings.gamma)

    shown = _best_and_worst(batch)
    exact, reason = _exact(agent, envs, settings)
    if exact is None:
        left_out["exact"] = reason
    branching = make_envs(env_id, MOST_ROWS, **arguments)
    seen = [_watch(agent, branching, batch, row, openings[row], exact, settings) for row in shown]
    valued = _with_values(seen, inputs, shown, settings, value, getattr(agent, "model", None))

    names = [*(["exact"] if exact else []), "branches", "vine", *by_row, *valued]
    episodes = []
    for place, (row, episode) in enumerate(zip(shown, seen, strict=True)):
        mask = inputs.mask[row]
        rows = {name: array[row][mask] for name, array in by_row.items()}
        rows |= {name: array[place][mask] for name, array in valued.items()}
        group = batch.returns[groups == groups[row]]
        episodes.append(episode_credit(episode, batch, row, envs.mdp.tokenizer, rows, group.tolist(), names))
    source = "exact V" if exact else "branched V"
    return Credit(
        env_id=env_id,
        arguments=dict(arguments),
        agent=name,
        settings={field: getattr(settings, field) for field in _SHOWN},
        estimators=tuple(described(name, source, value is not None) for name in names),
        left_out=left_out,
        reference=names[0],
        episodes=tuple(episodes),
    )


_SHOWN = ("group_size", "samples", "gamma", "gae_lambda", "discount_unit", "seed")


def _inputs(batch: Trajectories, settings: Settings) -> AdvantageInputs:
    unfinished = batch.truncated & np.isin(batch.finish_reasons, ("context", ""))
    time = time_steps(batch.mask, batch.turns, settings.discount_unit, unfinished)
    return AdvantageInputs(batch.rewards, batch.mask, time, batch.groups, turns=batch.turns)


def _returns(inputs: AdvantageInputs, settings: Settings) -> Floats:
    """Discounted returns, (B,)."""
    to_go = rewards_to_go(inputs.rewards, inputs.mask, settings.gamma, inputs.time)
    return discounted_returns(to_go, inputs.mask)


def _best_and_worst(batch: Trajectories) -> list[int]:
    """The rows of the first episode with the highest return of each group, and of the first with the lowest."""
    rows = []
    for group in np.unique(batch.groups):
        members = np.flatnonzero(batch.groups == group)
        returns = batch.returns[members]
        best, worst = int(members[returns.argmax()]), int(members[returns.argmin()])
        rows += [best] if best == worst else [best, worst]
    return rows


def _exact(agent: Agent, envs: TokenVectorEnv[Any], settings: Settings) -> tuple[ExactValues | None, str]:
    """Exact values, or the reason why there are none."""
    if not settings.max_prefixes:
        return None, "max_prefixes=0"
    if envs.mdp.task.num_problems is None:
        return None, "the task has unlimited problems"
    grammar = isinstance(agent, RandomAgent) or not hasattr(agent, "model") or bool(getattr(agent, "grammar", False))
    try:
        values = exact_values(
            envs,
            agent,  # type: ignore[arg-type]  # any agent whose distributions are known
            gamma=settings.gamma,
            discount_unit=settings.discount_unit,
            grammar=grammar,
            max_prefixes=settings.max_prefixes,
        )
    except (ValueError, TypeError, KeyError) as error:
        return None, str(error)
    return values, ""


def _watch(
    agent: Agent,
    envs: TokenVectorEnv[Any],
    batch: Trajectories,
    row: int,
    opening: Snapshot[Any],
    exact: ExactValues | None,
    settings: Settings,
) -> Episode:
    """Replay an episode from its opening, with a snapshot before each token of the policy, and branch from them."""
    length = int((batch.roles[row] != 0).sum())
    tokens, roles = batch.tokens[row, :length], batch.roles[row, :length]
    envs.restore([opening] * envs.num_envs)
    snapshots = []
    for token in tokens[roles == POLICY]:
        snapshots += envs.snapshot([0])
        envs.step_rows([0], [token])
    snapshots += envs.snapshot([0])
    if not np.array_equal(snapshots[-1].tokens, tokens):
        raise ValueError("the episode can't be repeated from its opening: the task is not pure, see `textmdp check`")
    return Episode.branched(agent, envs, snapshots, batch.rewards[row, :length][roles == POLICY], exact, settings)


def _with_values(
    seen: Sequence[Episode], inputs: AdvantageInputs, shown: Sequence[int], settings: Settings, value: Any, model: Any
) -> dict[str, Floats]:
    """The advantages of the estimators with values, by name, (b, T), of the b episodes that are shown."""
    some = replace(
        inputs,
        rewards=inputs.rewards[shown],
        mask=inputs.mask[shown],
        time=inputs.time[shown],
        groups=inputs.groups[shown],
        greedy_returns=None,
    )
    values, last = np.zeros(some.mask.shape), np.zeros(len(shown))
    for place, episode in enumerate(seen):
        values[place][some.mask[place]] = episode.v[:-1]
        last[place] = episode.v[-1]
    found = gae(some, values, last, settings.gamma)
    if value is not None:
        values, last = np.zeros_like(values), np.zeros_like(last)
        for place, episode in enumerate(seen):
            learnt = episode.learn(value, model)
            values[place][some.mask[place]], last[place] = learnt[:-1], learnt[-1]
    own = with_value(replace(some, values=values, last_values=last), settings.gamma, settings.gae_lambda)
    return {**own, **found}
