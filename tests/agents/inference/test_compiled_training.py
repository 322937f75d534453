"""The compiled pass over episodes: what transformers' own pass says and learns, however the episodes are laid out."""

from __future__ import annotations

import copy
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_kernels import SHAPES, a_llama
from test_packing import episodes
from toys import Echo

from textmdp.agents.inference import compiled_training
from textmdp.agents.models.language_model import LanguageModel
from textmdp.envs import TokenVectorEnv
from textmdp.envs.core.episode import PADDING, POLICY

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler on this machine")


def some_episodes(openings, lengths, words, rng):
    """Episodes of which openings are told by a kind and a length, and the turns thereafter by their lengths."""
    said = {kind: rng.integers(0, words, length).tolist() for kind, length in dict(openings).items()}
    return episodes([said[kind] for kind, _ in openings], lengths, rng, range(words))


def model_of(network):
    """A policy that may say any token."""
    tokenizer = TokenVectorEnv(Echo(), 1).mdp.tokenizer
    model = LanguageModel.__new__(LanguageModel)
    model.network, model.tokenizer = network, tokenizer
    model.never = torch.zeros(network.config.vocab_size, dtype=torch.bool)
    return model


def made_of(found, roles):
    """A number that makes use of all that a pass says."""
    rng = np.random.default_rng(0)
    sizes = roles.shape, found.hidden.shape
    of_tokens, of_hidden = (torch.from_numpy(rng.normal(size=size)).float() for size in sizes)
    real = (roles != PADDING)[..., None]
    return (found.log_probs * of_tokens).sum() + found.entropy.sum() + (found.hidden * of_hidden * real).sum()


def told(model, tokens, roles, packed=True):
    """What a pass says, and the gradient of what is made of it."""
    model.network.zero_grad()
    found = model.log_probs(tokens, roles, 0.7, hidden=True, packed=packed)
    made_of(found, roles).backward()
    gradients = [weight.grad.clone() for weight in model.network.parameters()]
    hidden = found.hidden * (roles != PADDING)[..., None]
    return [found.log_probs.detach(), found.entropy.detach(), hidden.detach(), *gradients]


def assert_close(some, others, tolerance=2e-5):
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        assert (one - other).norm() <= tolerance * (1 + other.norm())


def reference(model, tokens, roles):
    """What transformers says of the same, each episode as it stands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled_training, "available", lambda network: False)
        return told(model, tokens, roles, packed=False)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_says_and_learns_what_the_network_does(shape):
    model = model_of(a_llama(**shape))
    assert compiled_training.available(model.network)
    rng = np.random.default_rng(1)
    # Rows longer than what goes through the layers together, and shorter; some without a word of the policy's.
    openings = [(0, 9)] * 8 + [(1, 3)] * 4 + [(2, 1), (3, 5), (4, 7)]
    lengths = [[9, 3, 14]] * 5 + [[1]] * 3 + [[4, 2], [6], [30], []] + [[2, 2, 2], [], [25]]
    tokens, roles = some_episodes(openings, lengths, model.network.config.vocab_size, rng)
    expected = reference(model, tokens, roles)
    for packed in (True, False):
        assert_close(told(model, tokens, roles, packed), expected)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 2), st.lists(st.integers(0, 9), min_size=1, max_size=4)), min_size=1))
def test_whatever_the_episodes_are(drawn):
    model = model_of(a_llama(hidden=24, heads=2, shared=1, width=10, inner=20, words=11))
    rng = np.random.default_rng(2)
    tokens, roles = some_episodes([(k, 1 + 2 * k) for k, _ in drawn], [turns for _, turns in drawn], 11, rng)
    assert_close(told(model, tokens, roles), reference(model, tokens, roles))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_any_number_of_threads(threads):
    model = model_of(a_llama())
    tokens, roles = some_episodes([(k % 7, 4) for k in range(21)], [[8]] * 21, 37, np.random.default_rng(3))
    expected = reference(model, tokens, roles)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        found = told(model, tokens, roles)
        for one, again in zip(found, told(model, tokens, roles), strict=True):
            assert torch.equal(one, again)
    finally:
        torch.set_num_threads(before)
    assert_close(found, expected)


def test_passes_keep_apart():
    """Several ways there before the first way back, and a second way back."""
    model = model_of(a_llama())
    batches = [some_episodes([(0, 3)] * 4, [[n]] * 4, 37, np.random.default_rng(n)) for n in (5, 11)]
    expected = [reference(model, *batch)[3:] for batch in batches]
    parameters = list(model.network.parameters())

    losses = [made_of(model.log_probs(*batch, 0.7, hidden=True), batch[1]) for batch in batches]
    for k in (1, 0, 1):
        assert_close(torch.autograd.grad(losses[k], parameters, retain_graph=True), expected[k])


def test_a_pass_without_gradients_says_the_same_and_keeps_nothing():
    model = model_of(a_llama())
    tokens, roles = some_episodes([(k, 6) for k in range(40)], [[12]] * 40, 37, np.random.default_rng(4))
    with torch.no_grad():
        found = model.log_probs(tokens, roles)
    assert not found.log_probs.requires_grad
    assert torch.equal(found.log_probs, model.log_probs(tokens, roles).log_probs.detach())


def test_weights_that_are_frozen_get_no_gradient():
    model = model_of(a_llama())
    tokens, roles = some_episodes([(0, 3)] * 3, [[5]] * 3, 37, np.random.default_rng(5))
    expected = reference(model, tokens, roles)[3:]
    frozen = model.network.model.layers[0].mlp.up_proj.weight
    frozen.requires_grad_(False)
    model.network.zero_grad()
    made_of(model.log_probs(tokens, roles, 0.7, hidden=True), roles).backward()
    for weight, gradient in zip(model.network.parameters(), expected, strict=True):
        if weight is frozen:
            assert weight.grad is None
        else:
            assert_close([weight.grad], [gradient])


def test_other_networks_are_left_to_torch():
    network = a_llama()
    assert compiled_training.available(network)
    assert not compiled_training.available(copy.deepcopy(network).bfloat16())


def test_numbers_that_are_none_are_told():
    """A network that diverged says so: what looks after training tells of it."""
    model = model_of(a_llama())
    with torch.no_grad():
        model.network.model.layers[1].mlp.down_proj.weight[0, 0] = torch.nan
    tokens, roles = some_episodes([(0, 3)] * 2, [[5]] * 2, 37, np.random.default_rng(6))
    assert model.log_probs(tokens, roles).log_probs[roles == POLICY].isnan().all()
