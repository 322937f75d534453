"""Every registered id, with every difficulty, keeps the contract of the checker; Gymnasium and SB3 agree."""

import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from textmdp.envs import TASKS, TokenVectorEnv
from textmdp.envs.env_checker import run_checks
from textmdp.envs.tasks.diagnostics import DIAGNOSTICS
from textmdp.envs.tasks.text_code.generator import generate
from textmdp.envs.tasks.text_math.arithmetic import LEVELS
from textmdp.envs.tasks.text_poem.task import LEVELS as POEM_LEVELS
from textmdp.envs.tasks.text_support.scenarios import LEVELS as SUPPORT_LEVELS

IDS = [f"{name}{view}-v0" for name in TASKS for view in ("", "Response")]
VARIANTS = [
    *[("TextMath-v0", {"difficulty": level}) for level in LEVELS],
    ("TextMath-v0", {"reward": "dense"}),
    *[("TextMath-v0", {"difficulty": level, "thinking": "mixed"}) for level in LEVELS],
    ("TextMath-v0", {"difficulty": "words", "thinking": "steps", "reward": "dense"}),
    ("TextMath-v0", {"difficulty": "fractions", "thinking": "steps", "rewards": {"correct": 1.0, "steps_right": 0.5}}),
    ("TextMath-v0", {"difficulty": "modular-5", "grammar": True}),
    ("TextMath-v0", {"difficulty": "entry:1,products:2,words:1", "thinking": "mixed", "shared": True}),
    ("TextMath-v0", {"split": "test", "seed": 3}),
    ("TextMath-v0", {"tokenizer": "bytes"}),
    *[("TextPoem-v0", {"difficulty": level}) for level in POEM_LEVELS],
    ("TextPoem-v0", {"reward": "dense"}),
    ("TextPoem-v0", {"difficulty": "rhyme", "grammar": True}),
    ("TextPoem-v0", {"rewards": {"lines": 1.0, "gold": 0.0}}),
    ("TextPoem-v0", {"tokenizer": "bytes", "max_response_tokens": 300}),
    ("TextGuess-v0", {}),
    ("TextGuess-v0", {"low": 0, "high": 99, "guesses": 9}),
    ("TextGuess-v0", {"reward": "dense"}),
    *[("TextCode-v0", {"difficulty": level}) for level in generate.LEVELS],
    ("TextCode-v0", {"reward": "dense", "credit": "all"}),
    ("TextCode-v0", {"split": "test", "seed": 3, "grammar": True}),
    ("TextCode-v0", {"tokenizer": "bytes", "max_response_tokens": 64}),
    *[("TextSupport-v0", {"difficulty": level}) for level in SUPPORT_LEVELS],
    ("TextSupport-v0", {"reward": "dense"}),
    ("TextSupport-v0", {"difficulty": "entry", "split": "test", "seed": 3, "grammar": True}),
    ("TextSupport-v0", {"difficulty": "hard", "show_policy": True}),
    ("TextSupport-v0", {"tokenizer": "bytes"}),
    *[(f"{task.__name__}-v0", {task.sweep[0]: task.sweep[1][place]}) for task in DIAGNOSTICS for place in (0, 3)],
]


@pytest.mark.parametrize(("env_id", "arguments"), VARIANTS, ids=str)
def test_the_checker_is_content(env_id, arguments):
    for _ in run_checks(env_id, **arguments):
        pass


@pytest.mark.parametrize("env_id", IDS)
def test_gymnasium_is_content_through_make(env_id):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(env_id).unwrapped)


@pytest.mark.parametrize("name", TASKS)
def test_stable_baselines3_is_content_with_token_views(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sb3_check_env(gym.make(f"{name}-v0"))
        sb3_check_env(gym.make(f"{name}Response-v0", action="tokens"))


@pytest.mark.parametrize("name", TASKS)
def test_make_vec_gives_the_native_environment(name):
    envs = gym.make_vec(f"{name}-v0", 4, autoreset_mode="SameStep")
    assert isinstance(envs, TokenVectorEnv)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    envs.reset(seed=0)
    envs.step(envs.action_space.sample())
    envs.close()


@pytest.mark.parametrize("env_id", IDS)
def test_an_unknown_argument_is_named_with_the_valid_ones(env_id):
    with pytest.raises(TypeError, match=r"unexpected argument 'tokeniser'; did you mean 'tokenizer'\?.*render_mode"):
        gym.make(env_id, tokeniser="bytes")


@pytest.mark.parametrize("context", ["fork", "spawn"])
@pytest.mark.parametrize("env_id", IDS)
def test_worker_processes_give_the_same_episodes(env_id, context):
    """Through shared memory, where Gymnasium's own text space returns garbage."""

    def make():
        return gym.make(f"textmdp.envs:{env_id}")

    workers = AsyncVectorEnv([make] * 2, context=context)
    try:
        observation, info = workers.reset(seed=3)
        for row in range(2):
            alone, told = make().reset(seed=3 + row)
            if isinstance(alone, str):
                assert observation[row] == alone
            else:
                assert np.array_equal(observation["tokens"][row], alone["tokens"])
            assert info["message"][row] == told["message"]
    finally:
        workers.close()


@pytest.mark.parametrize("env_id", IDS)
def test_specs_are_plain_data(env_id):
    spec = gym.make(env_id).spec
    assert gym.envs.registration.EnvSpec.from_json(spec.to_json()).kwargs == spec.kwargs


def test_the_id_with_its_module_needs_no_import():
    code = "import gymnasium as gym; print(gym.make('textmdp.envs:TextMath-v0').reset(seed=0)[1]['message'])"
    first, second = (subprocess.run([sys.executable, "-c", code], capture_output=True, text=True) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout != ""


def test_a_random_policy_pays_nothing_and_the_expert_earns_it_all():
    env = gym.make("TextMathResponse-v0")
    earned = 0.0
    for seed in range(50):
        env.reset(seed=seed)
        earned += env.step(env.unwrapped.demonstrate())[1]
    assert earned == 50.0
