"""Precision of networks: sampling and training agree within the tolerance of their type."""

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from networks import MARKS, NETWORKS, gap, llama, saved_networks, vector
from toys import Echo
from transformers import PreTrainedModel

from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.models.precision import compute_in_bfloat16, precision
from textmdp.agents.rollouts.rollout import rollout

pytestmark = MARKS


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return saved_networks(tmp_path_factory)


@pytest.mark.parametrize("name", NETWORKS)
def test_bfloat16_weights_agree_within_their_tolerance(folders, tmp_path, name):
    envs = vector(Echo(), 48)
    model = LanguageModel.load(folders(name), envs.mdp.tokenizer, dtype="bfloat16")
    assert {weights.dtype for weights in model.network.parameters()} == {torch.bfloat16}
    assert model.tolerance == 0.25
    batch = rollout(LanguageModelAgent(model, seed=0), envs, seed=0)
    statistics = model.log_probs(torch.from_numpy(batch.tokens), torch.from_numpy(batch.roles))
    assert statistics.log_probs.dtype == statistics.full_log_probs.dtype == torch.float32
    torch.testing.assert_close(statistics.full_log_probs.exp().sum(-1), torch.ones(len(statistics.full_log_probs)))
    assert gap(model, batch) < model.tolerance / 2
    exact = LanguageModel.load(folders(name), envs.mdp.tokenizer)
    assert gap(exact, batch) > exact.tolerance  # so it is in use, and float32's tolerance would be too tight

    model.save(tmp_path)
    for dtype, expected in (("auto", torch.bfloat16), ("float32", torch.float32)):
        assert LanguageModel.load(tmp_path, envs.mdp.tokenizer, dtype=dtype).network.dtype == expected


@pytest.mark.parametrize("name", NETWORKS)
def test_autocast_rounds_sampling_and_training_alike(folders, name):
    envs = vector(Echo(), 48)
    model = LanguageModel.load(folders(name), envs.mdp.tokenizer, autocast=True)
    exact = LanguageModel.load(folders(name), envs.mdp.tokenizer)
    assert {weights.dtype for weights in model.network.parameters()} == {torch.float32}
    assert precision(model.network) == precision(copy.deepcopy(model.network)) == torch.bfloat16
    assert precision(exact.network) == torch.float32
    batch = rollout(LanguageModelAgent(model, seed=0), envs, seed=0)
    assert gap(model, batch) < model.tolerance / 2
    assert gap(exact, batch) > exact.tolerance  # sampling is rounded, too
    assert not torch.is_autocast_enabled("cpu")
    model.log_probs(torch.from_numpy(batch.tokens), torch.from_numpy(batch.roles)).log_probs.sum().backward()
    assert {weights.grad.dtype for weights in model.trainable() if weights.grad is not None} == {torch.float32}


def test_autocast_ends_with_a_pass_that_fails():
    network = llama(20)
    compute_in_bfloat16(network)
    with pytest.raises(IndexError):
        network(input_ids=torch.tensor([[99]]))
    assert not torch.is_autocast_enabled("cpu")


def test_autocast_is_each_thread_s_own():
    network, tokens = llama(20), torch.tensor([[3, 4, 5]])
    compute_in_bfloat16(network)

    def ask(number):
        dtype = network(input_ids=tokens).logits.dtype
        return dtype, torch.is_autocast_enabled("cpu")

    with ThreadPoolExecutor(4) as pool:
        assert {*pool.map(ask, range(40))} == {(torch.bfloat16, False)}


def test_a_graphics_card_is_used_where_there_is_one(folders, monkeypatch):
    """There is none where this is tested: what is asked of torch is."""
    tokenizer, places = vector(Echo()).mdp.tokenizer, []
    monkeypatch.setattr(PreTrainedModel, "to", lambda network, place: places.append(place))
    assert precision(LanguageModel.load(folders("llama"), tokenizer, device="cpu").network) == torch.float32
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert precision(LanguageModel.load(folders("llama"), tokenizer).network) == torch.bfloat16
    whole = LanguageModel.load(folders("llama"), tokenizer, autocast=False)
    assert precision(whole.network) == torch.float32
    halved = LanguageModel.load(folders("llama"), tokenizer, dtype="bfloat16")
    assert not any(module._forward_pre_hooks for module in halved.network.modules())
    assert places == [torch.device(name) for name in ("cpu", "cuda", "cuda", "cuda")]
