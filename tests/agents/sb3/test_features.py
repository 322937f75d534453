"""The features extractor reads the real tokens; shared prefixes change nothing."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from sb3_contrib import MaskablePPO
from stable_baselines3 import DQN

from textmdp.agents.sb3.features import TokenFeaturesExtractor
from textmdp.agents.sb3.prefixes import shared_prefixes
from textmdp.agents.sb3.vec_env import SB3VecEnv

SPACE = gym.make("textmdp.envs:TextGuess-v0").observation_space


def observations(texts, width=SPACE["tokens"].shape[0]):
    tokens, roles = np.zeros((2, len(texts), width), np.int64)
    for row, text in enumerate(texts):
        tokens[row, : len(text)] = text
        roles[row, : len(text)] = 1 + (np.arange(len(text)) > 3)
    return {"tokens": torch.from_numpy(tokens).float(), "roles": torch.from_numpy(roles).float()}


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=4), min_size=1, max_size=12))
def test_every_observation_begins_its_text_and_no_text_begins_another(texts):
    tokens = np.full((len(texts), 5), 7)
    for row, text in enumerate(texts):
        tokens[row, : len(text)] = text
    found = shared_prefixes(tokens, np.array([*map(len, texts)]))
    read = [texts[row] for row in found.texts]
    for text, number in zip(texts, found.text_of, strict=True):
        assert read[number][: len(text)] == text
    for one in range(len(read)):
        for other in range(len(read)):
            assert one == other or read[other][: len(read[one])] != read[one]


@pytest.mark.parametrize("network", ["gru", "transformer"])
def test_features_are_those_of_each_text_alone(network):
    torch.manual_seed(0)
    extractor = TokenFeaturesExtractor(SPACE, features_dim=16, embedding_dim=8, network=network)
    texts = [[3, 4, 5, 6, 7], [3, 4, 5], [9], [3, 4, 5, 6], [3, 4, 8], [3, 4, 5]]
    together = extractor(observations(texts))
    assert together.shape == (6, 16)
    for text, features in zip(texts, together, strict=True):
        assert torch.allclose(extractor(observations([text]))[0], features, atol=1e-5)
    assert not torch.allclose(together[0], together[1])
    other_roles = observations([texts[0]])
    other_roles["roles"][0, :5] = 1
    assert not torch.allclose(extractor(other_roles)[0], together[0])


def test_other_observations_are_refused():
    with pytest.raises(ValueError, match="reads the tokens and roles"):
        TokenFeaturesExtractor(spaces.Box(0, 1, (3,)))
    with pytest.raises(ValueError, match="network='mlp' is none of"):
        TokenFeaturesExtractor(SPACE, network="mlp")


@pytest.mark.parametrize("kind", [MaskablePPO, DQN])
def test_algorithms_train_with_it_and_are_loaded_again(kind, tmp_path):
    own = {"features_extractor_class": TokenFeaturesExtractor, "features_extractor_kwargs": {"features_dim": 16}}
    settings = {"n_steps": 8, "batch_size": 8} if kind is MaskablePPO else {"learning_starts": 4, "buffer_size": 40}
    envs = SB3VecEnv.make("TextGuess-v0", 2)
    model = kind("MultiInputPolicy", envs, policy_kwargs=own, seed=0, device="cpu", **settings)
    model.learn(32)
    model.save(tmp_path / "model")
    seen = envs.reset()
    again = kind.load(tmp_path / "model", device="cpu")
    assert np.array_equal(model.predict(seen, deterministic=True)[0], again.predict(seen, deterministic=True)[0])
