"""The table of algorithms: what its rows compute, and how tokens are weighted."""

import csv
import itertools
import json
import re

import numpy as np
import pytest
from paths import ROOT

from textmdp.agents.algorithms.objectives import (
    AGGREGATIONS,
    BASELINES,
    MEASURED_ON,
    OBJECTIVES,
    AdvantageInputs,
    token_weights,
)
from textmdp.benchmarks.intervals import bootstrap, difference, interquartile_mean

RESULTS = ROOT / "benchmarks" / "results"

MASK = np.array([[0, 1, 1, 1, 0], [0, 1, 0, 0, 0]], bool)


def played(rewards, groups, **others):
    return AdvantageInputs(rewards, MASK, MASK.astype(float), np.array(groups), **others)


def a_group(returns):
    rewards = np.asarray(returns, float)[:, None]
    return AdvantageInputs(rewards, np.ones(rewards.shape, bool), np.ones(rewards.shape), np.zeros(len(rewards), int))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_row_names_what_exists(name):
    row = OBJECTIVES[name]
    assert row.baseline in (*BASELINES, "value")
    assert row.epochs * row.minibatches >= 1
    assert row.aggregation in AGGREGATIONS
    assert row.summary


def test_what_rows_are_good_and_bad_at_is_what_was_measured():
    """Each claim against the committed results: where these are made anew, look at what is claimed, too."""
    told = json.loads((RESULTS / "algorithms_TextMath-v0.json").read_text())
    assert (len(told["seeds"]), told["config"]["updates"], told["config"]["episodes"]) == (5, 30, 512)
    assert "five warm starts, 30 updates of 512 episodes" in MEASURED_ON
    with open(RESULTS / "algorithms_TextMath-v0.csv") as file:
        rows = [*csv.DictReader(file)]

    def against(statistic, column, update, name, other="reinforce"):
        x, y = (
            [float(row[column]) for row in rows if row["algorithm"] == one and float(row["update"]) == update]
            for one in (name, other)
        )
        return bootstrap(statistic, x, y, rng=np.random.default_rng(0), paired=True)

    def ratio(x, y):
        return interquartile_mean(x) / interquartile_mean(y)

    finals = {name: np.array(found["by_seed"]["final_accuracy"]) for name, found in told["algorithms"].items()}
    for name, objective in OBJECTIVES.items():
        good, bad = re.fullmatch(r"good: (.+); bad: (.+)", objective.measured).groups()
        more, time = told["algorithms"][name]["more_than_first"], against(ratio, "seconds", 30, name)
        assert ("{:+.3f} [{:+.3f}, {:+.3f}]".format(*more) in objective.measured) == (name != "reinforce")
        assert (more[1] > 0) == (" episodes" in good) == (against(difference, "accuracy", 2, name).low > 0.1)
        final = against(difference, "accuracy", 30, name)
        assert final.low <= 0  # none ends higher
        assert (final.high < 0) == ("lower at the end" in bad)
        assert (finals[name] < finals["reinforce"]).all() == ("all five seeds" in bad)
        assert (time.high < 1) == ("faster" in good)
        assert (time.low > 1) == ("slower" in bad or "time" in bad)
        assert "needs no groups" not in good or not objective.grouped
    assert 1.8 < against(ratio, "seconds", 30, "ppo")[0] < 2.2
    assert against(ratio, "seconds", 30, "ppo-group", "ppo").high < 1
    for one, other in (("rloo", "reinforce-group"), ("dr-grpo", "grpo"), ("ppo-group", "ppo")):
        means = (told["algorithms"][name]["by_seed"]["mean_accuracy"] for name in (one, other))
        apart = np.subtract(*means)
        assert apart.min() < 0 < apart.max()  # some seeds say so, some otherwise


def test_reinforce_weights_with_the_rewards_to_go():
    rewards = np.array([[0, 0, 0, 1.0, 0], [0, 2, 0, 0, 0]])
    advantages = OBJECTIVES["reinforce"].advantages(played(rewards, [0, 1]), 0.5)
    np.testing.assert_array_equal(advantages, [[0, 0.25, 0.5, 1, 0], [0, 2, 0, 0, 0]])


def test_the_group_row_subtracts_the_mean_of_the_group():
    rewards = np.array([[0, 0, 0, 1.0, 0], [0, 0, 0, 0, 0]])
    advantages = OBJECTIVES["reinforce-group"].advantages(played(rewards, [4, 4]), 1.0)
    np.testing.assert_array_equal(advantages, [[0, 0.5, 0.5, 0.5, 0], [0, -0.5, 0, 0, 0]])


def test_rows_subtract_what_they_say():
    rewards = np.array([[0, 0, 0, 3.0, 0], [0, 1, 0, 0, 0]])
    running = OBJECTIVES["reinforce-running"].advantages(played(rewards, [4, 4], running=0.5), 1.0)
    np.testing.assert_array_equal(running, [[0, 2.5, 2.5, 2.5, 0], [0, 0.5, 0, 0, 0]])
    rloo = OBJECTIVES["rloo"].advantages(played(rewards, [4, 4]), 1.0)
    np.testing.assert_array_equal(rloo, [[0, 2, 2, 2, 0], [0, -2, 0, 0, 0]])
    remax = OBJECTIVES["remax"].advantages(played(rewards, [4, 5], greedy=np.array([1.0, 2.0])), 1.0)
    np.testing.assert_array_equal(remax, [[0, 2, 2, 2, 0], [0, -1, 0, 0, 0]])
    grpo = OBJECTIVES["grpo"].advantages(played(rewards, [4, 4]), 1.0)  # mean 2, deviation √2
    np.testing.assert_allclose(grpo[MASK], np.array([1, 1, 1, -1]) / (np.sqrt(2) + 1e-4))
    np.testing.assert_array_equal(
        OBJECTIVES["dr-grpo"].advantages(played(rewards, [4, 4]), 1.0)[MASK], [1.0, 1.0, 1.0, -1.0]
    )
    values = np.where(MASK, 0.5, 0.0)
    critic = OBJECTIVES["actor-critic"].advantages(played(rewards, [4, 5], values=values, last_values=np.zeros(2)), 1.0)
    np.testing.assert_allclose(critic[MASK], [2.5, 2.5, 2.5, 0.5])
    assert OBJECTIVES["actor-critic"].scaled(critic, MASK) is critic
    for name in ("ppo", "ppo-group"):
        raw = OBJECTIVES[name].advantages(played(rewards, [4, 4], values=values, last_values=np.zeros(2)), 1.0)
        white = OBJECTIVES[name].scaled(raw, MASK)
        assert white[MASK].mean() == pytest.approx(0, abs=1e-12)
        assert white[MASK].std() == pytest.approx(1, abs=1e-3)


def test_what_a_baseline_needs_is_asked_for():
    with pytest.raises(ValueError, match="greedy episodes"):
        OBJECTIVES["remax"].advantages(played(np.zeros(MASK.shape), [0, 0]), 1.0)
    with pytest.raises(ValueError, match="value function"):
        OBJECTIVES["ppo"].advantages(played(np.zeros(MASK.shape), [0, 0]), 1.0)


def test_aggregations():
    np.testing.assert_allclose(token_weights(MASK, "token-mean", 8), MASK / 4)
    np.testing.assert_allclose(token_weights(MASK, "sequence-mean", 8), MASK / [[2 * 3], [2 * 1]])
    np.testing.assert_allclose(token_weights(MASK, "constant", 8), MASK / 16)
    with pytest.raises(ValueError, match="'mean' is none of 'token-mean'"):
        token_weights(MASK, "mean", 8)


@pytest.mark.parametrize("name", ["none", "leave-one-out"])
def test_without_bias_the_expected_gradient_is_the_exact_one(name):
    """Three actions, one token, groups of two, all 9 outcomes enumerated: E[Σ A ∇log π] / 2 = ∇E[R]."""
    policy, reward = np.array([0.2, 0.5, 0.3]), np.array([1.0, 0.0, 4.0])
    gradient = np.zeros(3)
    for pair in itertools.product(range(3), repeat=2):
        returns = reward[list(pair)]
        advantages = returns - BASELINES[name](returns, a_group(returns))
        for action, advantage in zip(pair, advantages, strict=True):
            gradient += policy[list(pair)].prod() * advantage * (np.eye(3)[action] - policy) / 2
    np.testing.assert_allclose(gradient, policy * (reward - policy @ reward), atol=1e-12)  # softmax policy gradient


def test_the_mean_of_the_group_shrinks_the_gradient_by_its_own_share():
    policy, reward = np.array([0.2, 0.5, 0.3]), np.array([1.0, 0.0, 4.0])
    gradient = np.zeros(3)
    for pair in itertools.product(range(3), repeat=2):
        returns = reward[list(pair)]
        for action, advantage in zip(pair, returns - BASELINES["group"](returns, a_group(returns)), strict=True):
            gradient += policy[list(pair)].prod() * advantage * (np.eye(3)[action] - policy) / 2
    np.testing.assert_allclose(gradient, policy * (reward - policy @ reward) / 2, atol=1e-12)  # (G - 1) / G = 1/2
