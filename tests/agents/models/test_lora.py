"""Low-rank adapters: they learn, the network below them is the reference, and both are saved."""

import copy
import importlib.util
import sys

import numpy as np
import pytest
import torch
from networks import MARKS, NETWORKS, TIED, Chatty, gap, is_tied, recomputed, saved_networks, vector
from toys import Echo
from transformers import AutoModelForCausalLM

from textmdp.agents.algorithms.config import Config
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.models.lora import AdaptedModel, add_lora
from textmdp.agents.models.precision import precision
from textmdp.agents.rollouts.rollout import rollout
from textmdp.agents.training.trainer import Trainer
from textmdp.envs import LexiconTokenizer

pytestmark = MARKS
needs_peft = pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="adapters need peft")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return saved_networks(tmp_path_factory)


@needs_peft
@pytest.mark.parametrize("name", NETWORKS)
def test_adapters_learn_and_the_network_is_the_reference(folders, tmp_path, name):
    from peft import PeftModel

    envs = vector(Chatty(), 16)
    base = LanguageModel.load(folders(name), envs.mdp.tokenizer)
    model = add_lora(LanguageModel.load(folders(name), envs.mdp.tokenizer), rank=4)
    assert {id(w) for w in model.trainable()} == {
        id(w) for name, w in model.network.named_parameters() if "lora" in name
    }
    assert sum(w.numel() for w in model.trainable()) < model.num_parameters / 2
    assert len(base.trainable()) == len([*base.network.parameters()])
    batch = rollout(LanguageModelAgent(model), envs, seed=0)
    np.testing.assert_array_equal(recomputed(model, batch), recomputed(base, batch))

    trainer = Trainer(model, envs, Config(episodes=16, group_size=4, warmup_updates=0, learning_rate=0.05))
    for _ in range(2):  # in the first only B has a gradient
        trainer.step()
    batch = rollout(LanguageModelAgent(model), envs, seed=0)
    assert gap(model, batch) < 1e-4  # what decodes sees the adapters
    assert gap(base, batch) > 1e-2  # and they have learned
    with model.reference():
        np.testing.assert_array_equal(recomputed(model, batch), recomputed(base, batch))
        as_before = rollout(LanguageModelAgent(model, seed=3), envs, seed=0)
        assert gap(base, as_before) < 1e-4
    assert gap(model, batch) < 1e-4

    before = copy.deepcopy(model.network.state_dict())
    model.save(tmp_path)
    assert all(torch.equal(weights, before[name]) for name, weights in model.network.state_dict().items())
    tokens = torch.from_numpy(batch.tokens)
    with torch.no_grad():
        merged = AutoModelForCausalLM.from_pretrained(tmp_path)
        expected = model.network(input_ids=tokens).logits
        torch.testing.assert_close(merged(input_ids=tokens).logits, expected, atol=1e-4, rtol=1e-4)
        adapted = PeftModel.from_pretrained(base.network, tmp_path / "adapter")
        torch.testing.assert_close(adapted(input_ids=tokens).logits, expected, atol=1e-4, rtol=1e-4)
    again = LanguageModel.load(tmp_path, envs.mdp.tokenizer)
    assert is_tied(again) == (name in TIED)
    assert len(again.trainable()) == len([*again.network.parameters()])


@needs_peft
def test_the_reference_may_be_asked_between_forward_and_backward(folders):
    envs = vector(Echo())
    model = add_lora(LanguageModel.load(folders("llama"), envs.mdp.tokenizer))
    batch = rollout(LanguageModelAgent(model), envs, seed=0)
    tokens, roles = torch.from_numpy(batch.tokens), torch.from_numpy(batch.roles)

    def gradients(ask):
        model.network.zero_grad()
        log_probs = model.log_probs(tokens, roles).log_probs.sum()
        if ask:
            with model.reference(), torch.no_grad():
                model.log_probs(tokens, roles)
        log_probs.backward()
        return [weights.grad for weights in model.trainable()]

    for one, other in zip(gradients(True), gradients(False), strict=True):
        assert torch.equal(one, other)


@needs_peft
def test_adapters_keep_what_the_network_computes_in(folders):
    envs = vector(Echo())
    for options in ({"dtype": "bfloat16"}, {"autocast": True}):
        model = add_lora(LanguageModel.load(folders("qwen2, grouped heads"), envs.mdp.tokenizer, **options))
        assert precision(model.network) == torch.bfloat16
        assert {weights.dtype for weights in model.trainable()} == {torch.float32}  # small updates are not lost
        with torch.no_grad():
            for weights in model.trainable():
                weights.add_(0.05)
        assert gap(model, rollout(LanguageModelAgent(model), envs, seed=0)) < model.tolerance / 2


@needs_peft
def test_adapters_follow_from_the_seed_and_adapt_the_named_matrices(folders):
    tokenizer = vector(Echo()).mdp.tokenizer
    before = torch.random.get_rng_state()
    one, same, other = (add_lora(LanguageModel.load(folders("llama"), tokenizer), seed=seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    weights = [torch.cat([w.flatten() for w in model.trainable()]) for model in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    some = add_lora(LanguageModel.load(folders("llama"), tokenizer), targets=["q_proj", "v_proj"])
    adapted = {name.split(".lora_")[0].split(".")[-1] for name, w in some.network.named_parameters() if w.requires_grad}
    assert adapted == {"q_proj", "v_proj"}
    assert isinstance(some, AdaptedModel)
    with pytest.raises(ValueError, match="has adapters already"):
        add_lora(some)
    with pytest.raises(ValueError, match="rank=0 must be at least 1"):
        add_lora(LanguageModel.load(folders("llama"), tokenizer), rank=0)


def test_without_peft_the_error_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    model = LanguageModel.tiny(LexiconTokenizer("ab"), 8, width=16, heads=2, layers=1)
    with pytest.raises(ImportError, match=r'pip install "textmdp\[lora\]"'):
        add_lora(model)


@needs_peft
def test_a_checkpoint_holds_the_adapters_and_their_optimizer_alone(folders):
    envs = vector(Chatty(), 16)
    config = Config(episodes=16, group_size=4, updates=2, learning_rate=0.1, warmup_updates=0)

    def made():
        return add_lora(LanguageModel.load(folders("llama"), envs.mdp.tokenizer), rank=2)

    trainer = Trainer(made(), envs, config)
    next(trainer.run())
    state = copy.deepcopy(trainer.state()["learner"])
    assert all("lora_" in name for name in state["model"])
    assert sum(weights.numel() for weights in state["model"].values()) == sum(
        weights.numel() for weights in trainer.model.trainable()
    )
    again = made()
    again.restore(state["model"])
    for name, weights in trainer.model.network.state_dict().items():
        assert torch.equal(weights, again.network.state_dict()[name]), name
    with pytest.raises(ValueError, match="adapters"):
        again.restore({})
