"""Surrogates and divergences against closed forms on a softmax, expectations taken over all outcomes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textmdp.agents.algorithms.losses import (
    adaptive_kl_coef,
    clipped_surrogate,
    divergence,
    exact_divergence,
    first_tokens,
    is_clipped,
    sum_per_turn,
    surrogate,
)

LOGITS = torch.tensor([0.3, -1.2, 0.8, 0.0, 2.0], dtype=torch.float64)
REFERENCE = torch.tensor([1.0, 0.4, -0.6, 0.2, 0.1], dtype=torch.float64).log_softmax(-1)


def gradient(value, at):
    return torch.autograd.grad(value, at, retain_graph=True)[0]


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_divergences_have_their_documented_values_and_gradients(estimator):
    logits = LOGITS.clone().requires_grad_()
    log_probs = logits.log_softmax(-1)
    policy = log_probs.detach().exp()
    exact = exact_divergence(log_probs, REFERENCE)
    estimate = (policy * divergence(log_probs, REFERENCE, estimator)).sum()  # on samples of the policy
    if estimator != "k2":
        assert estimate.item() == pytest.approx(exact.item())
    reverse = gradient(exact, logits)
    forward = gradient((REFERENCE.exp() * (REFERENCE - logits.log_softmax(-1))).sum(), logits)
    expected = {"k1": torch.zeros(5, dtype=torch.float64), "k2": reverse, "k3": forward}[estimator]
    torch.testing.assert_close(gradient(estimate, logits), expected)


def test_k1_in_the_reward_has_the_gradient_of_the_divergence():
    logits = LOGITS.clone().requires_grad_()
    log_probs = logits.log_softmax(-1)
    k1 = divergence(log_probs, REFERENCE, "k1").detach()
    found = gradient((log_probs.detach().exp() * k1 * log_probs).sum(), logits)
    torch.testing.assert_close(found, gradient(exact_divergence(logits.log_softmax(-1), REFERENCE), logits))


def test_unknown_estimators_are_refused():
    with pytest.raises(ValueError, match="'k4' is none of"):
        divergence(LOGITS, REFERENCE, "k4")


def test_on_fresh_samples_all_surrogates_have_the_gradient_of_the_policy():
    log_probs = LOGITS.log_softmax(-1).requires_grad_()
    advantages = torch.tensor([1.0, -2.0, 0.5, 0.0, -0.1], dtype=torch.float64)
    for gained in (
        surrogate(log_probs - log_probs.detach(), advantages),
        clipped_surrogate(log_probs - log_probs.detach(), advantages, 0.2, 0.2, 3.0),
    ):
        torch.testing.assert_close(gradient(gained.sum(), log_probs), advantages)


def test_clips_take_the_gradient_where_a_step_went_far_enough():
    ratios = torch.tensor([0.5, 1.0, 1.5, 0.5, 1.0, 1.5, 10.0])
    advantages = torch.tensor([1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0])
    logs = ratios.log().requires_grad_()
    gained = clipped_surrogate(logs, advantages, 0.2, 0.3)
    torch.testing.assert_close(gained.detach(), torch.tensor([0.5, 1.0, 1.3, -0.8, -1.0, -1.5, -10.0]))
    clipped = is_clipped(logs, advantages, 0.2, 0.3)
    assert clipped.tolist() == [False, False, True, True, False, False, False]
    assert ((gradient(gained.sum(), logs) == 0) == clipped).all()
    bounded = clipped_surrogate(logs, advantages, 0.2, 0.3, dual=3.0)
    assert bounded[-1].item() == -3.0
    torch.testing.assert_close(bounded[:-1].detach(), gained[:-1].detach())


@given(
    st.lists(st.tuples(st.floats(-30, 30), st.floats(1e-3, 2), st.sampled_from([-1, 0, 1])), min_size=1, max_size=20),
    st.sampled_from([0.0, 1.5, 3.0]),
)
def test_clipped_actions_are_those_whose_gradient_is_gone(actions, dual):
    logs, sizes, signs = torch.tensor(actions, dtype=torch.float64).T
    advantages = sizes * signs
    bounds = torch.tensor([0.8, 1.3, max(dual, 1.0)]).double().log()
    logs = torch.where((logs[:, None] - bounds).abs().min(1).values < 1e-9, logs + 1e-3, logs).requires_grad_()
    gained = clipped_surrogate(logs, advantages, 0.2, 0.3, dual)
    gone = (gradient(gained.sum(), logs) == 0) & (advantages != 0)
    assert (is_clipped(logs.detach(), advantages, 0.2, 0.3, dual) == gone).all()


def test_far_ratios_stay_finite():
    logs = torch.tensor([500.0, -500.0], requires_grad=True)
    for gained in (surrogate(logs, torch.ones(2)), clipped_surrogate(logs, -torch.ones(2), 0.2, 0.2)):
        assert torch.isfinite(gradient(gained.sum(), logs)).all()
    assert torch.isfinite(divergence(torch.tensor([-800.0]), torch.zeros(1), "k3")).all()


def test_responses_are_summed_at_their_first_tokens():
    turns = torch.tensor([[-1, 0, 0, -1, 1, 1, -1], [-1, 0, -1, -1, -1, -1, -1]], dtype=torch.int32)
    values = torch.tensor([[0.0, 1, 2, 0, 4, 8, 0], [0, 16, 0, 0, 0, 0, 0]])
    assert first_tokens(turns).tolist() == [
        [False, True, False, False, True, False, False],
        [False, True, False, False, False, False, False],
    ]
    assert sum_per_turn(values, turns).tolist() == [[0, 3, 0, 0, 12, 0, 0], [0, 16, 0, 0, 0, 0, 0]]


def test_the_coefficient_moves_towards_the_target_by_a_fifth_at_most():
    assert adaptive_kl_coef(0.1, 3.0, 3.0, 100, 1000) == pytest.approx(0.1)
    assert adaptive_kl_coef(0.1, 3.3, 3.0, 1000, 1000) == pytest.approx(0.11)
    assert adaptive_kl_coef(0.1, 50.0, 3.0, 1000, 1000) == pytest.approx(0.12)
    assert adaptive_kl_coef(0.1, 0.0, 3.0, 500, 1000) == pytest.approx(0.09)
    assert adaptive_kl_coef(0.1, 0.0, 3.0, 10**9, 1) == 0.0
    assert np.isfinite(adaptive_kl_coef(0.1, 1e30, 3.0, 1, 1))
