"""The referee convicts each known fault, acquits its mended twin, and knows the signatures of others."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from textmdp.agents.credit import known_faults
from textmdp.agents.credit.audit import audit
from textmdp.agents.credit.bias import statistics
from textmdp.agents.credit.cases import Case, enumerate_groups
from textmdp.agents.credit.episodes import enumerate_episodes
from textmdp.agents.credit.estimators import estimator_of
from textmdp.agents.credit.known_faults import KNOWN_FAULTS
from textmdp.envs.tasks.diagnostics import (
    TextDelay,
    TextDepth,
    TextKeyDoor,
    TextLengthBias,
    TextScale,
    TextStopping,
    TextUmbrella,
)

#: Enough to tell all faults apart, in a second.
TASKS = [
    TextDelay(delay=1),
    TextDepth(depth=2),
    TextScale(scale=3.0),
    TextKeyDoor(length=0),
    TextLengthBias(length=1),
    TextStopping(turns=2),
]
WORDS = {
    "a baseline for each turn, of as many terms as the episode chooses": r"pays −0\.\d+ for every further turn",
    "an extra γ^t": r"an extra γ\^t, t in tokens",
    "a scalar spread with another step's mask": r"spread over the wrong tokens: those of turn 1 get 0",
    "the (G − 1)/G shrinkage": r"shrunk by \(G − 1\)/G",
    "division by the group's deviation": r"divides by the group's deviation",
    "1/|o| weighting": r"weights tokens by 1/\|o\|",
}


def judge(estimator, **options):
    return audit(estimator, tasks=TASKS, **options)


@pytest.mark.parametrize("name", KNOWN_FAULTS)
def test_a_known_fault_is_convicted_and_its_twin_acquitted(name):
    pair = KNOWN_FAULTS[name]
    convicted, acquitted = judge(pair.faulty), judge(pair.mended)
    assert convicted.biased
    assert len(convicted.faults) == 1
    assert convicted.verdict.startswith("biased: ")
    assert re.search(WORDS[name], convicted.faults[0])
    assert "← wrong" in convicted.counterexample
    assert acquitted.faults == ()
    assert acquitted.verdict.startswith("unbiased")
    assert acquitted.counterexample == ""
    assert all(row.bias < 1e-9 for row in acquitted.rows if row.clock == "tokens")


@pytest.mark.parametrize(
    ("row", "faults"),
    [
        ("reinforce", []),
        ("rloo", []),
        ("remax", []),
        ("actor-critic", []),
        ("reinforce-group", ["shrunk by (G − 1)/G, since an episode is part of its own baseline"]),
        ("dr-grpo", ["shrunk by (G − 1)/G, since an episode is part of its own baseline"]),
    ],
)
def test_rows_of_the_table_are_what_their_docstrings_claim(row, faults):
    assert [*judge(row).faults] == faults


def test_grpo_has_three_biases():
    faults = judge("grpo").faults
    assert [words.partition(":")[0].partition(",")[0] for words in faults] == [
        "divides by the group's deviation",
        "weights tokens by 1/|o|",
        "shrunk by (G − 1)/G",
    ]


@pytest.mark.parametrize("unit", ["tokens", "turns"])
def test_the_clock_is_named(unit):
    found = judge("rloo", discount_unit=unit)
    assert not found.biased
    assert found.notes == (f"it discounts by {unit}",)


def test_estimators_that_give_every_token_the_same_or_ignore_the_discount():
    def constant(rewards, mask, turns, groups, gamma):
        return known_faults.leave_one_out_returns(rewards, mask, turns, groups)

    assert judge(constant).verdict == "unbiased. Every token of an episode gets the same. It ignores γ."


def test_values_that_are_wrong():
    def one_step(rewards, mask, turns, groups, gamma, values):
        following = np.zeros_like(values)
        for row, own in enumerate(mask):
            places = np.flatnonzero(own)
            following[row, places[:-1]] = values[row, places[1:]]
        return np.where(mask, rewards + gamma * following - values, 0.0)

    found = judge(one_step)
    assert not found.biased
    assert found.verdict.startswith("unbiased with the exact V. ")
    assert "Its bias is that of V: up to 0.5" in found.verdict
    assert {row.values for row in found.rows} == {"exact", "wrong", "learnt"}
    assert "A wrong V adds no bias." in judge("actor-critic").verdict


def test_whitening_is_a_division_by_a_deviation():
    assert any("deviation" in words for words in judge("ppo-group").faults)


def test_the_signature_of_trl():
    def rloo(rewards, num_generations):
        grouped = rewards.reshape(-1, num_generations)
        return ((num_generations * grouped - grouped.sum(1, keepdims=True)) / (num_generations - 1)).reshape(-1)

    def grpo(rewards: torch.Tensor, num_generations: int) -> torch.Tensor:
        grouped = rewards.view(-1, num_generations)
        return ((grouped - grouped.mean(1, keepdim=True)) / (grouped.std(1, keepdim=True) + 1e-4)).view(-1)

    assert judge(rloo).verdict.startswith("unbiased")
    assert judge(grpo).faults[0].startswith("divides by the group's deviation")


def test_the_signature_of_verl():
    def compute_rloo(token_level_rewards, response_mask, index, epsilon=1e-6, config=None, **kwargs):
        scores = token_level_rewards.sum(-1)
        assert len(set(index)) == 1
        others = (scores.sum() - scores) / (len(scores) - 1)
        advantages = (scores - others)[:, None] * response_mask
        return advantages, advantages

    def compute_gae(token_level_rewards, values, response_mask, gamma, lam):
        to_go = torch.zeros_like(token_level_rewards)
        carried = torch.zeros(len(values), dtype=values.dtype)
        for t in reversed(range(values.shape[1])):
            own = response_mask[:, t] > 0
            carried = torch.where(own, token_level_rewards[:, t] + gamma * carried, carried)
            to_go[:, t] = carried
        return (to_go - values) * response_mask, to_go

    def forgetful(token_level_rewards, values, response_mask, gamma, lam):
        return compute_gae(token_level_rewards, values, response_mask, 1.0, lam)

    assert judge(compute_rloo).verdict.startswith("unbiased")
    assert judge(compute_gae).verdict == "unbiased. It discounts by tokens. A wrong V adds no bias."
    assert judge(forgetful).faults[0].startswith("right without discounting, and off by up to 0.")


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        ("rlo", ValueError, "there is no row 'rlo' in the table of algorithms: reinforce"),
        (lambda x: x, TypeError, "has no signature that the referee knows"),
        (lambda rewards, mask, prompts: rewards, TypeError, r"needs the arguments \['prompts'\]"),
        (lambda rewards, mask: rewards[:1], ValueError, r"returns the shape \(1, \d+\)"),
        (lambda rewards, mask: rewards * np.nan, ValueError, "returns .*nan"),
    ],
)
def test_what_is_no_estimator_is_refused(estimator, error, message):
    with pytest.raises(error, match=message):
        judge(estimator)


@pytest.mark.parametrize(
    "task", [TextUmbrella(length=1), TextKeyDoor(length=1), *TASKS], ids=lambda t: type(t).__name__
)
def test_episodes_are_all_there(task):
    case = Case(task)
    values = case.exact(0.5, "tokens")
    problems = enumerate_episodes(values)
    assert sum(episodes.weight for episodes in problems) == pytest.approx(1.0)
    occupancy = np.zeros(case.tree.num_prefixes)
    total = 0.0
    for episodes in problems:
        assert episodes.probability.sum() == pytest.approx(1.0)
        mass = episodes.weight * episodes.probability
        steps = episodes.mask.cumsum(1) - 1
        total += float(mass @ (episodes.rewards * 0.5 ** np.maximum(steps, 0)).sum(1))
        prefixes = case.tree.edge_prefix[episodes.edges[episodes.mask]]
        np.add.at(occupancy, prefixes, np.broadcast_to(mass[:, None], episodes.mask.shape)[episodes.mask])
    assert total == pytest.approx(values.expected_return)
    assert occupancy == pytest.approx(values.occupancy)


def test_statistics_agree_with_sampling():
    case, estimator = Case(TextLengthBias(length=1)), estimator_of("rloo")
    groups = enumerate_groups(case, estimator, 1.0, 2)
    exact = statistics(groups, groups.advantages, "tokens")
    rng = np.random.default_rng(0)
    drawn = rng.choice(len(groups.probability), size=20_000, p=groups.probability / groups.probability.sum())
    mask = groups.mask[drawn]
    edges, found = groups.edges[drawn][mask], groups.advantages[drawn][mask]
    truth = case.exact(1.0, "tokens").a[edges]
    assert np.corrcoef(found, truth)[0, 1] == pytest.approx(exact.correlation, abs=0.02)
    counts = np.bincount(edges, minlength=case.tree.num_edges)
    means = np.bincount(edges, found, case.tree.num_edges) / counts
    assert means == pytest.approx(exact.expected, abs=0.05)
    variance = np.mean((found - means[edges]) ** 2)
    assert variance == pytest.approx(exact.variance, rel=0.05)
