"""Llamas that somebody changed: the fast pass would ignore the change, so they are sampled through transformers."""

import numpy as np
import pytest
import torch
from networks import MARKS, draw, gap, llama, vector
from torch import nn
from torch.nn.utils import parametrize
from toys import Counting
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaForCausalLM, LlamaMLP

from textmdp.agents.inference.forward import TransformersForward, make_forward
from textmdp.agents.inference.llama import LlamaForward
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import rollout

pytestmark = MARKS


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


class LouderMLP(LlamaMLP):
    def forward(self, x):
        return 2 * super().forward(x)


class Louder(LlamaForCausalLM):
    def forward(self, *arguments, **options):
        output = super().forward(*arguments, **options)
        output.logits = 2 * output.logits
        return output


def adapter(network):
    peft = pytest.importorskip("peft")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network.add_adapter(peft.LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False))


def coarse_norm(network):
    network.model.norm.variance_epsilon = 1.0


def patched_forward(network):
    plain = network.model.layers[0].mlp.forward
    network.model.layers[0].mlp.forward = lambda x: 2 * plain(x)


def subclassed_network(network):
    network.__class__ = Louder


def subclassed_module(network):
    network.model.layers[0].mlp.__class__ = LouderMLP


def biased_head(network):
    network.lm_head.bias = nn.Parameter(torch.linspace(-3, 3, network.lm_head.out_features))


def bounded_embedding(network):
    network.model.embed_tokens.max_norm = 0.5


MODIFICATIONS = {
    "adapter": adapter,
    "forward hook": lambda network: network.model.layers[1].mlp.register_forward_hook(lambda *three: 2 * three[2]),
    "forward pre-hook": lambda network: network.lm_head.register_forward_pre_hook(lambda module, x: (2 * x[0],)),
    "parametrization": lambda network: parametrize.register_parametrization(
        network.model.layers[0].mlp.up_proj, "weight", Doubled(), unsafe=True
    ),
    "replaced forward": patched_forward,
    "subclass of the network": subclassed_network,
    "subclass of a module": subclassed_module,
    "bias of the head": biased_head,
    "epsilon of a norm": coarse_norm,
    "scale of attention": lambda network: setattr(network.model.layers[0].self_attn, "scaling", 2.0),
    "bounded embeddings": bounded_embedding,
    "fewer layers": lambda network: setattr(network.config, "num_hidden_layers", 1),
}


def make_network(envs):
    with torch.random.fork_rng(devices=[]):
        return draw(llama(envs.mdp.tokenizer.vocab_size)).eval()


@torch.no_grad()
def logits_of(network):
    return network(torch.arange(3, 9)[None]).logits.clone()


@pytest.mark.parametrize("modify", MODIFICATIONS.values(), ids=MODIFICATIONS.keys())
def test_a_changed_llama_samples_what_it_computes(modify):
    envs = vector(Counting(), 40)
    network = make_network(envs)
    before = logits_of(network)
    modify(network)
    assert (logits_of(network) - before).abs().max() > 0.1  # so that ignoring it would be noticed
    assert not LlamaForward.supports(network)
    assert isinstance(make_forward(network, envs.mdp.context_length), TransformersForward)
    model = LanguageModel(network, envs.mdp.tokenizer)
    assert gap(model, rollout(LanguageModelAgent(model), envs, seed=0)) < 1e-4


def test_a_class_that_somebody_patched(monkeypatch):
    network = make_network(vector(Counting()))
    assert LlamaForward.supports(network)
    forward = LlamaAttention.forward
    monkeypatch.setattr(LlamaAttention, "forward", lambda *arguments, **options: forward(*arguments, **options))
    assert not LlamaForward.supports(network)


def test_hooks_on_all_modules_at_once():
    network = make_network(vector(Counting()))
    for register in (
        nn.modules.module.register_module_forward_hook,
        nn.modules.module.register_module_forward_pre_hook,
    ):
        handle = register(lambda *arguments: None)
        assert not LlamaForward.supports(network)
        handle.remove()
        assert LlamaForward.supports(network)


def test_other_attention_functions_and_weights_of_several_types():
    network = make_network(vector(Counting()))
    network.config._attn_implementation = "of_mine"
    assert not LlamaForward.supports(network)
    network.config._attn_implementation = "sdpa"
    assert LlamaForward.supports(network)
    network.model.norm.to(torch.bfloat16)
    assert not LlamaForward.supports(network)


def test_reading_hidden_states_keeps_the_fast_pass():
    """transformers leaves hooks behind that record outputs; training with a value function asks for these."""
    envs = vector(Counting(), 40)
    network = make_network(envs)
    with torch.no_grad():
        network(torch.arange(3, 9)[None], output_hidden_states=True)
    assert LlamaForward.supports(network)
    model = LanguageModel(network, envs.mdp.tokenizer)
    batch = rollout(LanguageModelAgent(model), envs, seed=0)
    assert gap(model, batch) < 1e-4
    assert np.isfinite(batch.log_probs).all()
