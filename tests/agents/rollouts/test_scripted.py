import gymnasium as gym
import numpy as np
import pytest
from toys import Counting, Echo

from textmdp.agents.rollouts.rollout import rollout
from textmdp.agents.rollouts.scripted import ExpertAgent, NoisyExpertAgent, RandomAgent, draw_legal
from textmdp.envs import TokenEnv, TokenVectorEnv

IDS = ("TextMath-v0", "TextGuess-v0")


def vector(env_id: str, rows: int = 32):
    return gym.make_vec(env_id, rows, autoreset_mode="Disabled", copy=False)


@pytest.mark.parametrize("env_id", IDS)
def test_the_expert_has_full_marks_everywhere(env_id):
    envs = vector(env_id)
    batch = rollout(ExpertAgent(), envs, seed=0)
    assert (batch.returns == envs.mdp.task.full_marks).all()
    assert batch.terminated.all()


def test_the_expert_says_what_the_environment_demonstrates():
    envs, env = TokenVectorEnv(Counting(), 3, autoreset_mode="Disabled"), TokenEnv(Counting())
    batch = rollout(ExpertAgent(), envs, seed=5)
    for row in range(3):
        env.reset(seed=5 + row)
        written, ended = [], False
        while not ended:
            written.append(env.demonstrate())
            for token in [*env.mdp.tokenizer.encode(written[-1]), env.mdp.tokenizer.end_id]:
                _, _, terminated, truncated, info = env.step(token)
                ended = terminated or truncated
                if "finish_reason" in info:
                    break
        assert [*batch.episodes[row].messages[1::2]] == written


def test_the_expert_goes_on_in_the_middle_of_a_turn():
    envs = TokenVectorEnv(Echo(), 2, autoreset_mode="Disabled")
    envs.reset(seed=0, options={"problem": 17})
    expert, rows = ExpertAgent(), np.arange(2)
    envs.step_rows(rows, expert.act(envs, rows).tokens)
    late = ExpertAgent().act(envs, rows).tokens
    assert [envs.mdp.tokenizer.token_text(token) for token in late] == ["7", "7"]
    assert (late == expert.act(envs, rows).tokens).all()


def test_the_expert_plans_anew_for_a_new_episode_in_the_same_row():
    envs, expert = TokenVectorEnv(Echo(), 4, autoreset_mode="Disabled"), ExpertAgent()
    for seed in range(3):
        assert (rollout(expert, envs, seed=seed).returns == 1).all()


@pytest.mark.parametrize("env_id", IDS)
def test_random_tokens_are_legal_and_follow_from_the_seed(env_id):
    envs = vector(env_id)
    one, same, other = (rollout(RandomAgent(seed), envs, seed=0).tokens for seed in (3, 3, 4))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    envs.reset(seed=0)
    rows, rng = np.array([1, 5, 9]), np.random.default_rng(0)
    for _ in range(50):
        assert envs.action_masks()[rows, draw_legal(envs, rows, rng)].all()


def test_random_tokens_are_uniform():
    envs = TokenVectorEnv(Echo(), 4000, autoreset_mode="Disabled")
    envs.reset(seed=0)
    tokens = RandomAgent(0).act(envs, np.arange(4000)).tokens
    counts = np.bincount(tokens, minlength=envs.mdp.tokenizer.vocab_size)
    assert (counts[~envs.mdp.usable] == 0).all()
    legal = counts[envs.mdp.usable]
    expected = 4000 / len(legal)
    assert ((legal - expected) ** 2 / expected).sum() < 2.5 * len(legal)  # chi-squared, far out in its tail


def test_random_agents_leave_the_global_generator_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    rollout(RandomAgent(0), vector("TextMath-v0", 4), seed=0)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_a_noisy_expert_slips_at_its_rate():
    envs = vector("TextMath-v0", 2000)
    assert (rollout(NoisyExpertAgent(0.0), envs, seed=0).returns == 1).all()
    batch = rollout(NoisyExpertAgent(0.1, seed=1), envs, seed=0)
    assert 0.6 < batch.returns.mean() < 0.8  # about 0.9 to the power of the tokens, which are three or four
    assert rollout(NoisyExpertAgent(1.0, seed=1), envs, seed=0).returns.mean() < 0.02


def test_an_impossible_error_rate_is_refused():
    with pytest.raises(ValueError, match=r"error_rate=1.5 must lie in \[0, 1\]"):
        NoisyExpertAgent(1.5)
