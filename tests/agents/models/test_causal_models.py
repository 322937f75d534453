"""Any causal language model of transformers as a policy: what acts is what is trained, saved, and opened elsewhere."""

import copy

import numpy as np
import pytest
import torch
from networks import (
    LENGTH,
    MARKS,
    NETWORKS,
    SHAPE,
    TIED,
    Chatty,
    gap,
    gpt2,
    is_tied,
    qwen2,
    recomputed,
    save,
    saved_networks,
    vector,
)
from toys import Counting, Echo
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    Gemma2ForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from textmdp.agents.algorithms.config import Config
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import rollout
from textmdp.agents.training.trainer import Trainer
from textmdp.envs import ByteTokenizer

pytestmark = MARKS


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return saved_networks(tmp_path_factory)


@pytest.mark.parametrize("name", NETWORKS)
def test_sampling_and_training_agree(folders, tmp_path, name):
    turns = vector(Counting())
    counting = save(tmp_path / "counting", NETWORKS[name], turns.mdp.tokenizer)
    pretrained = save(tmp_path / "bytes", NETWORKS[name], ByteTokenizer())
    for envs, folder in (
        (vector(Echo()), folders(name)),
        (turns, counting),
        (vector(Echo(), tokenizer=pretrained), pretrained),  # the folder's own, as one from the hub is used
    ):
        model = LanguageModel.load(folder, envs.mdp.tokenizer)
        assert is_tied(model) == (name in TIED)
        agent = LanguageModelAgent(model, seed=1)
        for seed in (0, 1):  # the second batch meets a cache that was used
            batch = rollout(agent, envs, seed=seed)
            assert batch.log_probs[batch.mask].std() > 0.1
            assert batch.tokens.max() < envs.mdp.tokenizer.vocab_size < len(model.forbidden_tokens)
            assert gap(model, batch) < 1e-4 == model.tolerance


def test_sampling_and_training_agree_where_masks_are_added_to_scores(tmp_path):
    """As Gemma 2, GPT-J and gpt-oss do, which have no fused attention."""
    envs = vector(Counting())

    def gemma2(size):
        config = Gemma2Config(
            vocab_size=size, max_position_embeddings=LENGTH, num_key_value_heads=2, head_dim=8, pad_token_id=0, **SHAPE
        )
        config._attn_implementation = "eager"
        return Gemma2ForCausalLM(config)

    model = LanguageModel.load(save(tmp_path, gemma2, envs.mdp.tokenizer), envs.mdp.tokenizer)
    assert model.network.config._attn_implementation == "eager"
    assert gap(model, rollout(LanguageModelAgent(model), envs, seed=0)) < 1e-4


@pytest.mark.parametrize("name", NETWORKS)
def test_greedy_is_what_transformers_generates(folders, name):
    envs = vector(Echo())
    tokenizer, budget = envs.mdp.tokenizer, envs.mdp.max_response_tokens
    model = LanguageModel.load(folders(name), tokenizer)
    batch = rollout(LanguageModelAgent(model, greedy=True), envs, seed=0)
    prompts = [row[roles == 1].tolist() for row, roles in zip(batch.tokens, batch.roles, strict=True)]
    responses = [row[roles == 2].tolist() for row, roles in zip(batch.tokens, batch.roles, strict=True)]
    assert len({*map(len, prompts)}) > 1
    assert len({*map(tuple, responses)}) > 1

    def generated(prompts):
        longest = max(map(len, prompts))
        ids = torch.tensor([[tokenizer.pad_id] * (longest - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        found = model.network.generate(
            input_ids=ids,
            attention_mask=mask,
            do_sample=False,
            max_new_tokens=budget,
            suppress_tokens=model.forbidden_tokens.nonzero()[:, 0].tolist(),
            eos_token_id=tokenizer.end_id,
            pad_token_id=tokenizer.pad_id,
        )[:, longest:].tolist()
        return [row[: row.index(tokenizer.end_id) + 1] if tokenizer.end_id in row else row for row in found]

    assert generated(prompts) == responses  # a batch of unequal prompts, padded on the left
    assert [generated([prompt])[0] for prompt in prompts] == responses


@pytest.mark.parametrize("name", NETWORKS)
def test_an_update_changes_the_weights_and_what_is_saved_opens_in_transformers(tmp_path, name):
    # Bytes, since AutoTokenizer takes any tokenizer that is saved with a Qwen2 for Qwen2's own, of bytes.
    envs = vector(Chatty(), 16, tokenizer="bytes")
    model = LanguageModel.load(save(tmp_path, NETWORKS[name], ByteTokenizer()), envs.mdp.tokenizer)
    before = copy.deepcopy(model.network.state_dict())
    metrics = Trainer(model, envs, Config(episodes=16, group_size=4, warmup_updates=0)).step()
    assert metrics["grad_norm"] > 0
    assert any(not torch.equal(weights, before[name]) for name, weights in model.network.state_dict().items())
    assert is_tied(model) == (name in TIED)

    model.save(tmp_path)
    network, tokenizer = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    tokens = torch.tensor([model.tokenizer.encode("say 12: 34x")])
    assert tokenizer("say 12: 34x", add_special_tokens=False)["input_ids"] == tokens[0].tolist()
    with torch.no_grad():
        assert torch.equal(network(input_ids=tokens).logits, model.network(input_ids=tokens).logits)
    again = LanguageModel.load(tmp_path, envs.mdp.tokenizer)
    assert is_tied(again) == (name in TIED)
    batch = rollout(LanguageModelAgent(again), envs, seed=0)
    np.testing.assert_array_equal(recomputed(again, batch), recomputed(model, batch))


def test_a_context_ends_where_a_layer_no_longer_sees_the_beginning():
    tokenizer = vector(Echo()).mdp.tokenizer

    def mistral(window):
        config = MistralConfig(vocab_size=24, max_position_embeddings=LENGTH, sliding_window=window, **SHAPE)
        return LanguageModel(MistralForCausalLM(config), tokenizer)

    assert mistral(None).context_length == LENGTH
    assert mistral(16).context_length == 16
    with pytest.raises(ValueError, match="beyond the 16 positions"):
        rollout(LanguageModelAgent(mistral(16)), vector(Echo()), seed=0)
    assert LanguageModel(qwen2(24, sliding_window=16), tokenizer).context_length == LENGTH
    sliding = qwen2(24, sliding_window=16, use_sliding_window=True, max_window_layers=1)
    assert LanguageModel(sliding, tokenizer).context_length == 16
    assert LanguageModel(gpt2(24), tokenizer).context_length == LENGTH


@pytest.mark.parametrize("name", ["llama", "gpt2, positions learned and tied"])
def test_checkpointed_gradients_are_the_same_and_caches_stay(name, tmp_path):
    envs = vector(Echo())
    folder = save(tmp_path, NETWORKS[name], envs.mdp.tokenizer)
    gradients = []
    for checkpointed in (False, True):
        model = LanguageModel.load(folder, envs.mdp.tokenizer)
        if checkpointed:
            model.checkpoint_gradients()
        batch = rollout(LanguageModelAgent(model), envs, seed=0)
        tokens, roles = torch.from_numpy(batch.tokens), torch.from_numpy(batch.roles)
        statistics = model.log_probs(tokens, roles)
        np.testing.assert_allclose(statistics.log_probs.detach()[batch.mask], batch.log_probs[batch.mask], atol=1e-4)
        statistics.log_probs.sum().backward()
        gradients.append([weights.grad for weights in model.trainable()])
        assert not any(module.training for module in model.network.modules())
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(again, plain)
