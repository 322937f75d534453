"""Stable-Baselines3 trains on every id as it is: nothing but `textmdp.envs` and SB3 is imported."""

import gymnasium as gym
import numpy as np
import pytest
from sb3_contrib import QRDQN, TRPO, MaskablePPO, RecurrentPPO
from sb3_contrib.common.maskable.utils import get_action_masks
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecVideoRecorder

from textmdp.envs import TASKS

ON_POLICY = {"n_steps": 8, "policy_kwargs": {"net_arch": [8]}}
BATCHES = {**ON_POLICY, "batch_size": 8, "n_epochs": 1}
OFF_POLICY = {"learning_starts": 4, "buffer_size": 20, "batch_size": 4, "policy_kwargs": {"net_arch": [8]}}
ALGORITHMS = {
    "ppo": (PPO, "MultiInputPolicy", BATCHES),
    "a2c": (A2C, "MultiInputPolicy", ON_POLICY),
    "dqn": (DQN, "MultiInputPolicy", OFF_POLICY),
    "qrdqn": (QRDQN, "MultiInputPolicy", OFF_POLICY),
    "trpo": (TRPO, "MultiInputPolicy", {**ON_POLICY, "batch_size": 8}),
    "maskable_ppo": (MaskablePPO, "MultiInputPolicy", BATCHES),
    "recurrent_ppo": (
        RecurrentPPO,
        "MultiInputLstmPolicy",
        {**BATCHES, "policy_kwargs": {"net_arch": [8], "lstm_hidden_size": 8}},
    ),
}


def learn(algorithm, env):
    kind, policy, settings = ALGORITHMS[algorithm]
    model = kind(policy, env, device="cpu", seed=0, **settings)
    model.learn(16)
    assert model.num_timesteps >= 16
    model.env.close()


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_learns_from_token_views(algorithm, name):
    learn(algorithm, gym.make(f"{name}-v0"))


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("algorithm", ["ppo", "a2c"])
def test_actor_critics_learn_from_responses_as_tokens(algorithm, name):
    learn(algorithm, gym.make(f"{name}Response-v0", action="tokens"))


@pytest.mark.parametrize("name", TASKS)
def test_make_vec_env_makes_environments_and_pictures(name):
    for env_id, options in ((f"{name}-v0", {}), (f"{name}Response-v0", {"action": "tokens"})):
        envs = make_vec_env(env_id, n_envs=4, env_kwargs=options)
        assert isinstance(envs, DummyVecEnv)
        envs.reset()
        height, width, _ = envs.envs[0].render().shape
        assert envs.render("rgb_array").shape == (2 * height, 2 * width, 3)
        envs.close()


@pytest.mark.parametrize("name", TASKS)
def test_a_text_view_is_refused_with_the_fix(name):
    with pytest.raises(TypeError, match='action="tokens"'):
        PPO("MultiInputPolicy", gym.make(f"{name}Response-v0"))
    with pytest.raises(TypeError, match='action="tokens"'):
        make_vec_env(f"{name}Response-v0")


def test_masks_reach_maskable_ppo():
    env = make_vec_env("TextGuess-v0", n_envs=2)
    model = MaskablePPO("MultiInputPolicy", env, device="cpu", seed=0, **BATCHES)
    observation = env.reset()
    masks = get_action_masks(env)
    for _ in range(20):
        actions, _ = model.predict(observation, action_masks=masks)
        assert masks[np.arange(2), actions].all()


def test_sb3_records_films(tmp_path):
    pytest.importorskip("moviepy", reason="SB3's VecVideoRecorder needs moviepy")
    envs = make_vec_env("TextMath-v0", n_envs=2)
    recorder = VecVideoRecorder(envs, str(tmp_path / "films"), record_video_trigger=lambda step: step == 0)
    recorder.reset()
    for _ in range(3):
        recorder.step([5, 6])
    recorder.close()
    assert [*(tmp_path / "films").glob("*.mp4")]
