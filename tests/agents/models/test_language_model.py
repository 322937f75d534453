"""Language models as policies: log-probabilities, masks, and folders that transformers opens."""

import math

import numpy as np
import pytest
import torch
from toys import Counting
from transformers import AutoModelForCausalLM, AutoTokenizer

from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import rollout
from textmdp.agents.rollouts.scripted import RandomAgent
from textmdp.envs import LexiconTokenizer, TokenVectorEnv

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def batch():
    """Ragged rows of three turns each."""
    envs = TokenVectorEnv(Counting(), 8, autoreset_mode="Disabled", copy=False)
    model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length, width=32, heads=2)
    batch = rollout(RandomAgent(0), envs, seed=0)
    assert len(set((batch.roles > 0).sum(1).tolist())) > 1
    return model, torch.from_numpy(batch.tokens), torch.from_numpy(batch.roles)


def test_log_probs_are_those_of_each_token_given_its_past_one_at_a_time(batch):
    model, tokens, roles = batch
    found = model.log_probs(tokens, roles, temperature=0.7)
    for i, row in enumerate(tokens):
        for t in range(len(row)):
            if roles[i, t] != 2:
                assert found.log_probs[i, t] == found.entropy[i, t] == 0
                continue
            logits = model.network(input_ids=row[None, :t]).logits[0, -1] / 0.7
            logits[list(model.tokenizer.unusable_ids)] = -math.inf
            every = torch.distributions.Categorical(logits=logits)
            torch.testing.assert_close(found.log_probs[i, t], every.log_prob(row[t]), atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(found.entropy[i, t], every.entropy(), atol=1e-5, rtol=1e-5)


def test_padding_changes_nothing(batch):
    model, tokens, roles = batch
    wider = torch.nn.functional.pad(tokens, (0, 5), value=1)
    padded = model.log_probs(wider, torch.nn.functional.pad(roles, (0, 5)))
    torch.testing.assert_close(padded.log_probs[:, :-5], model.log_probs(tokens, roles).log_probs)
    assert not padded.log_probs[:, -5:].any()


def test_the_end_of_turn_is_trained_on_and_the_environments_tokens_are_not(batch):
    model, tokens, roles = batch
    ends = (tokens == model.tokenizer.end_id) & (roles == 2)
    assert ends.any()
    found = model.log_probs(tokens, roles).log_probs
    assert (found[ends] < 0).all()
    assert not found[roles != 2].any()


def test_a_batch_without_a_word_of_the_policy(batch):
    model, tokens, roles = batch
    assert not model.log_probs(tokens, roles.clamp(max=1)).log_probs.any()


def test_unusable_tokens_have_no_probability_and_a_finite_gradient(batch):
    model = batch[0]
    logits = torch.randn(3, len(model.forbidden_tokens), generator=torch.Generator().manual_seed(0)).requires_grad_()
    log_probs = model.distribution(logits)
    assert not log_probs.exp()[:, list(model.tokenizer.unusable_ids)].any()
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(3))
    (log_probs.exp() * log_probs).sum().backward()
    assert logits.grad.isfinite().all()


def test_weights_follow_from_the_seed_and_nothing_global_is_touched():
    tokenizer = LexiconTokenizer("abc")
    before = torch.random.get_rng_state()
    one, same, other = (LanguageModel.tiny(tokenizer, 16, width=32, heads=2, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    weights = [torch.cat([p.flatten() for p in m.network.parameters()]) for m in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_default_has_less_than_a_million_parameters():
    model = LanguageModel.tiny(LexiconTokenizer("0123456789"), 32)
    assert 100_000 < model.num_parameters < 1_000_000


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_saved_model_opens_in_transformers_and_here(batch, tmp_path):
    model, tokens, roles = batch
    model.save(tmp_path)
    network = AutoModelForCausalLM.from_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    torch.testing.assert_close(network(input_ids=tokens).logits, model.network(input_ids=tokens).logits)
    text = "12 yes\n"
    assert tokenizer(text, add_special_tokens=False)["input_ids"] == model.tokenizer.encode(text)
    assert tokenizer.eos_token_id == network.config.eos_token_id == model.tokenizer.end_id
    loaded = LanguageModel.load(tmp_path, model.tokenizer)
    np.testing.assert_array_equal(
        loaded.log_probs(tokens, roles).log_probs.detach(), model.log_probs(tokens, roles).log_probs.detach()
    )


def test_a_tokenizer_that_is_too_large_is_refused(batch):
    with pytest.raises(ValueError, match="the network embeds"):
        LanguageModel(batch[0].network, LexiconTokenizer("abcdefghijklmnopqrstuvwxyz"))
