"""A language model in SB3: its weights are kept, its cache changes nothing, and it is saved and loaded."""

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.utils import obs_as_tensor
from transformers import GPT2Config, GPT2LMHeadModel

from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.sb3.language_model_policy import LanguageModelPolicy, with_language_model
from textmdp.agents.sb3.vec_env import SB3VecEnv

GUESS = {"difficulty": "tiny"}
PPO_SETTINGS = {"n_steps": 8, "batch_size": 16, "n_epochs": 2, "learning_rate": 1e-3, "device": "cpu", "seed": 0}


def envs_and_model(kind="llama", **options):
    envs = SB3VecEnv.make("TextGuess-v0", 4, **GUESS, **options)
    mdp = envs.envs.mdp
    if kind == "llama":
        return envs, LanguageModel.tiny(mdp.tokenizer, mdp.context_length, width=32, heads=2, seed=1)
    config = GPT2Config(
        vocab_size=mdp.tokenizer.vocab_size, n_positions=mdp.context_length, n_embd=32, n_layer=2, n_head=2
    )
    torch.manual_seed(0)
    return envs, LanguageModel(GPT2LMHeadModel(config), mdp.tokenizer)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_it_starts_as_the_model_and_keeps_it(kind):
    envs, model = envs_and_model(kind)
    algorithm = with_language_model(PPO, model, envs, **PPO_SETTINGS)
    for name, weights in model.network.state_dict().items():
        assert torch.equal(algorithm.policy.network.state_dict()[name], weights)
    seen = envs.reset()
    tokens, roles = torch.from_numpy(seen["tokens"]), torch.from_numpy(seen["roles"])
    logits = model.network(tokens).logits[np.arange(4), (roles != 0).sum(1) - 1]
    expected = model.distribution(logits)
    got = algorithm.policy.get_distribution({"tokens": tokens, "roles": roles}).distribution.logits
    assert torch.allclose(expected, got, atol=1e-4)
    assert model.forbidden_tokens.any()
    assert (got.exp()[:, model.forbidden_tokens] == 0).all()


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_the_cache_changes_nothing_in_any_row(kind):
    envs, model = envs_and_model(kind)
    policy = with_language_model(PPO, model, envs, **PPO_SETTINGS).policy
    policy.set_training_mode(True)
    assert not policy.network.training
    observations = envs.reset()
    rng = np.random.default_rng(0)
    ends = 0
    for step in range(40):
        seen = obs_as_tensor(observations, "cpu")
        if step == 20:
            with torch.no_grad():
                policy.network.get_input_embeddings().weight.mul_(1.5)
        with torch.no_grad():
            actions, values, log_probs = policy(seen)
        others, their_log_probs, entropy = policy.evaluate_actions(seen, actions)
        assert torch.allclose(values, others, atol=1e-5)
        assert torch.allclose(log_probs, their_log_probs, atol=1e-4)
        assert (entropy >= 0).all()
        masks = np.array(envs.env_method("action_masks"))
        observations, _, dones, _ = envs.step([rng.choice(np.flatnonzero(mask)) for mask in masks])
        ends += dones.sum()
        if step == 30:
            observations = envs.reset()
    assert ends > 0


def test_the_cache_reads_new_tokens_only(monkeypatch):
    envs, model = envs_and_model()
    policy = with_language_model(PPO, model, envs, **PPO_SETTINGS).policy
    read = []
    forward = policy.network.forward
    monkeypatch.setattr(
        policy.network, "forward", lambda *a, **k: read.append(k["input_ids"].shape) or forward(*a, **k)
    )
    seen = envs.reset()
    with torch.no_grad():
        policy(obs_as_tensor(seen, "cpu"))
        seen, *_ = envs.step([5, 5, 5, 5])
        policy(obs_as_tensor(seen, "cpu"))
    assert read[-1] == (4, 1)
    assert len(read) == 3


@pytest.mark.parametrize("algorithm", [PPO, A2C])
def test_training_changes_the_model_and_not_the_one_given(algorithm):
    envs, model = envs_and_model()
    before = {name: weights.clone() for name, weights in model.network.state_dict().items()}
    settings = PPO_SETTINGS if algorithm is PPO else {"n_steps": 8, "device": "cpu", "seed": 0}
    trained = with_language_model(algorithm, model, envs, ent_coef=0.1, **settings).learn(64)
    assert all(torch.equal(before[name], weights) for name, weights in model.network.state_dict().items())
    assert not torch.equal(before["lm_head.weight"], trained.policy.language_model().network.lm_head.weight)


def test_the_value_loss_leaves_a_detached_model_alone():
    for trunk, moves in (("detached", False), ("shared", True)):
        envs, model = envs_and_model()
        policy = with_language_model(PPO, model, envs, policy_kwargs={"value_trunk": trunk}, **PPO_SETTINGS).policy
        for weights in policy.value_function.head[-1].parameters():
            torch.nn.init.ones_(weights)
        policy.predict_values(obs_as_tensor(envs.reset(), "cpu")).sum().backward()
        gradient = policy.network.get_input_embeddings().weight.grad
        assert (gradient is not None and bool(gradient.abs().sum() > 0)) == moves


def test_it_is_loaded_in_a_fresh_process(tmp_path):
    envs, model = envs_and_model()
    algorithm = with_language_model(PPO, model, envs, **PPO_SETTINGS).learn(32)
    algorithm.save(tmp_path / "model.zip")
    envs.seed(3)
    actions, _ = algorithm.predict(envs.reset(), deterministic=True)
    code = (
        "from stable_baselines3 import PPO\nfrom textmdp.agents.sb3.vec_env import SB3VecEnv\n"
        "envs = SB3VecEnv.make('TextGuess-v0', 4, difficulty='tiny')\nenvs.seed(3)\n"
        f"model = PPO.load({str(tmp_path / 'model.zip')!r}, device='cpu')\n"
        "print(model.predict(envs.reset(), deterministic=True)[0].tolist())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout.strip() == str(actions.tolist()), found.stderr


def test_whole_responses_are_refused():
    envs, model = envs_and_model()
    with pytest.raises(ValueError, match="one token a step"):
        with_language_model(PPO, model, gym.make("TextGuessResponse-v0", action="tokens"), device="cpu")
    with pytest.raises(ValueError, match="neither"):
        with_language_model(PPO, model, envs, policy_kwargs={"value_trunk": "own"}, device="cpu")


def test_the_policy_alone_is_saved_and_loaded(tmp_path):
    envs, model = envs_and_model()
    policy = with_language_model(PPO, model, envs, **PPO_SETTINGS).policy
    policy.save(tmp_path / "policy.pt")
    again = LanguageModelPolicy.load(tmp_path / "policy.pt", device="cpu")
    seen = envs.reset()
    assert np.array_equal(policy.predict(seen, deterministic=True)[0], again.predict(seen, deterministic=True)[0])
