"""`SB3VecEnv` is SB3's `DummyVecEnv` of single environments, only faster."""

import gymnasium as gym
import numpy as np
import pytest
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

import textmdp.envs
from textmdp.agents.sb3.vec_env import SB3VecEnv

VARIANTS = [
    ("TextMath-v0", {"difficulty": "one-digit", "reward": "dense"}),
    ("TextGuess-v0", {"difficulty": "tiny"}),
    ("TextGuess-v0", {"context_length": 14}),
    ("TextCode-v0", {"difficulty": "one-step", "grammar": True}),
    ("TextPoem-v0", {"difficulty": "couplet", "max_response_tokens": 4}),
]


def check_equal(one, other):
    assert one.keys() == other.keys()
    for key in one:
        if isinstance(one[key], dict):
            check_equal(one[key], other[key])
        elif isinstance(one[key], np.ndarray):
            assert one[key].dtype == other[key].dtype
            assert np.array_equal(one[key], other[key]), key
        else:
            assert type(one[key]) is type(other[key]), key
            assert one[key] == other[key], key


def pair(env_id, arguments, count=3):
    assert textmdp.envs.TASKS
    return SB3VecEnv.make(env_id, count, **arguments), DummyVecEnv(
        [lambda: gym.make(env_id, **arguments) for _ in range(count)]
    )


@pytest.mark.parametrize(("env_id", "arguments"), VARIANTS, ids=str)
def test_it_equals_single_environments_bit_for_bit(env_id, arguments):
    fast, plain = pair(env_id, arguments)
    fast.seed(5)
    plain.seed(5)
    check_equal(fast.reset(), dict(plain.reset()))
    rng = np.random.default_rng(0)
    ends = 0
    for _ in range(60):
        for mine, theirs in zip(fast.reset_infos, plain.reset_infos, strict=True):
            check_equal(mine, theirs)
        masks = get_action_masks(fast)
        assert np.array_equal(masks, get_action_masks(plain))
        assert fast.env_method("demonstrate") == plain.env_method("demonstrate")
        actions = np.array([rng.choice(np.flatnonzero(mask)) for mask in masks])
        (seen, rewards, dones, infos), (other, earned, over, told) = fast.step(actions), plain.step(actions)
        check_equal(seen, dict(other))
        assert rewards.dtype == earned.dtype
        assert np.array_equal(rewards, earned)
        assert np.array_equal(dones, over)
        for mine, theirs in zip(infos, told, strict=True):
            check_equal(mine, theirs)
        ends += int(dones.sum())
    assert ends
    fast.close()
    plain.close()


def test_options_choose_problems_once():
    envs = SB3VecEnv.make("TextGuess-v0", 2)
    envs.set_options([{"problem": 3}, {"problem": 5}])
    envs.reset()
    assert [info["problem"] for info in envs.reset_infos] == [3, 5]
    envs.set_options({"problem": 4})
    envs.reset()
    assert [info["problem"] for info in envs.reset_infos] == [4, 4]
    envs.set_options([{"problem": 3}, {}])
    with pytest.raises(ValueError, match="give each row"):
        envs.reset()


def test_attributes_methods_and_wrappers():
    envs = SB3VecEnv.make("TextGuess-v0", 3, render_mode="rgb_array")
    envs.reset()
    assert is_masking_supported(envs)
    assert envs.get_attr("action_space", [0, 2]) == [envs.action_space] * 2
    assert envs.get_attr("lengths")[1] == envs.envs.lengths[1]
    assert np.array_equal(envs.get_attr("action_masks", 1)[0](), envs.env_method("action_masks", indices=1)[0])
    assert envs.env_method("render", indices=[1])[0].shape == (400, 640, 3)
    assert envs.render("rgb_array").shape == (800, 1280, 3)
    assert envs.env_is_wrapped(gym.wrappers.TimeLimit) == [False] * 3
    assert not envs.has_attr("nothing")
    with pytest.raises(AttributeError, match="rows have no method 'fly'"):
        envs.env_method("fly")
    with pytest.raises(ValueError, match="only be set for all rows"):
        envs.set_attr("copy", False, indices=[0])


def test_another_autoreset_mode_is_refused():
    with pytest.raises(ValueError, match="SAME_STEP"):
        SB3VecEnv(gym.make_vec("TextMath-v0", 2))
    with pytest.raises(ValueError, match="none of the token views"):
        SB3VecEnv.make("CartPole-v1", 2)


@pytest.mark.parametrize("kind", [PPO, MaskablePPO])
def test_it_trains_and_evaluates_as_the_plain_one_does(kind):
    returns = []
    for envs in (VecMonitor(SB3VecEnv.make("TextGuess-v0", 2)), make_vec_env("TextGuess-v0", n_envs=2)):
        model = kind("MultiInputPolicy", envs, n_steps=16, batch_size=16, n_epochs=1, seed=3, device="cpu")
        model.learn(96)
        assert len(model.ep_info_buffer)
        found, _ = evaluate_policy(model, envs, n_eval_episodes=6, return_episode_rewards=True, warn=False)
        returns.append((found, [episode["r"] for episode in model.ep_info_buffer]))
    assert returns[0] == returns[1]
