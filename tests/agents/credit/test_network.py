"""A language model on a prefix tree: the same probabilities as whole passes, the gradient of finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from textmdp.agents.credit import network
from textmdp.agents.credit.exact_values import exact_values
from textmdp.agents.credit.network import network_gradient, network_probabilities
from textmdp.agents.credit.tree_growth import grow_tree
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.envs.core.mdp import TextMDP
from textmdp.envs.tasks.diagnostics import TextDepth, TextKeyDoor, TextLengthBias, TextMemory, TextUmbrella

TASKS = [TextKeyDoor(), TextUmbrella(length=3), TextLengthBias(), TextMemory(), TextDepth(depth=5)]


def made(task, **size):
    tree = grow_tree(TextMDP(task))
    mdp = tree.mdp
    return tree, LanguageModel.tiny(mdp.tokenizer, mdp.context_length, **{"width": 32, "heads": 2, **size})


def whole(tree, model, temperature=1.0):
    """The probabilities from a pass over each prefix alone."""
    found = np.empty(tree.num_edges)
    for prefix in range(tree.num_prefixes):
        edges = tree.edges(prefix)
        with torch.no_grad():
            logits = model.network(input_ids=torch.tensor([tree.tokens(prefix)])).logits[0, -1].double()
        chosen = logits[tree.action[edges].copy()] / temperature
        found[edges] = chosen.softmax(-1).numpy()
    return found


@pytest.mark.parametrize("chunk", [1024, 3])
@pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)
def test_the_cache_gives_the_probabilities_of_whole_passes(task, chunk, monkeypatch):
    monkeypatch.setattr(network, "CHUNK", chunk)
    tree, model = made(task)
    assert network_probabilities(tree, model) == pytest.approx(whole(tree, model), abs=1e-5)
    assert network_probabilities(tree, model, temperature=0.5) == pytest.approx(whole(tree, model, 0.5), abs=1e-5)


def test_other_networks_have_probabilities_too(monkeypatch):
    tree, model = made(TextKeyDoor())
    expected = network_probabilities(tree, model)
    monkeypatch.setattr("textmdp.agents.inference.forward.LlamaForward.supports", staticmethod(lambda network: False))
    assert network_probabilities(tree, model) == pytest.approx(expected, abs=1e-5)


def test_agents_carry_their_temperature_and_greed():
    tree, model = made(TextLengthBias())
    warm = exact_values(tree, LanguageModelAgent(model, temperature=2.0))
    assert warm.policy == pytest.approx(whole(tree, model, 2.0), abs=1e-5)
    greedy = exact_values(tree, LanguageModelAgent(model, greedy=True)).policy
    assert set(greedy.tolist()) == {0.0, 1.0}
    assert np.add.reduceat(greedy, tree.first_edge[:-1]).tolist() == [1.0] * tree.num_prefixes
    plain = exact_values(tree, model).policy
    for prefix in range(tree.num_prefixes):
        assert greedy[tree.edges(prefix)].argmax() == plain[tree.edges(prefix)].argmax()


def test_the_gradient_in_the_weights_is_exact():
    tree, model = made(TextKeyDoor(length=1), layers=1, width=16)
    model.network.double()
    values = exact_values(tree, whole(tree, model), gamma=0.9)
    gradient = network_gradient(tree, model, values.logit_gradient, chunk=5)
    weights = model.trainable()
    direction = [
        torch.randn(w.shape, generator=torch.Generator().manual_seed(i)).double() for i, w in enumerate(weights)
    ]
    found = []
    for sign in (1e-5, -1e-5):
        with torch.no_grad():
            for weight, step in zip(weights, direction, strict=True):
                weight += sign * step
        found.append(exact_values(tree, whole(tree, model), gamma=0.9).expected_return)
        with torch.no_grad():
            for weight, step in zip(weights, direction, strict=True):
                weight -= sign * step
    slope = sum(float((g * d).sum()) for g, d in zip(gradient, direction, strict=True))
    assert slope == pytest.approx((found[0] - found[1]) / 2e-5, rel=1e-3, abs=1e-7)


def test_networks_that_are_too_short_are_refused():
    tree, _ = made(TextMemory(delay=16))
    short = LanguageModel.tiny(tree.mdp.tokenizer, 8, width=16, heads=2)
    with pytest.raises(ValueError, match=r"prefixes have up to .* tokens, and the network 8 positions"):
        network_probabilities(tree, short)
