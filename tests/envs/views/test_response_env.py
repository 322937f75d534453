"""The response view: texts and token rows as actions, budgets, unknown characters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import Counting, Echo

from textmdp.envs import ResponseEnv, TokenEnv


def test_a_single_turn_is_one_step():
    env = ResponseEnv(Echo())
    observation, _ = env.reset(options={"problem": 12})
    assert observation == "say 12: "
    observation, reward, terminated, truncated, info = env.step("12")
    assert (observation, reward, terminated, truncated) == ("say 12: 12", 1.0, True, False)
    assert info["finish_reason"] == "stop"
    assert observation in env.observation_space


def test_a_long_response_is_cut_at_the_budget_and_graded_as_it_stands():
    env = ResponseEnv(Echo(), max_response_tokens=2)
    env.reset(options={"problem": 12})
    _, reward, terminated, _, info = env.step("12 and more words than fit")
    assert (reward, terminated, info["finish_reason"], info["response"]) == (1.0, True, "length", "12")


def test_characters_that_the_tokenizer_lacks_count_one_each_and_reach_the_task():
    env = ResponseEnv(Echo(), max_response_tokens=4)
    env.reset(options={"problem": 12})
    info = env.step("É→1!?")[4]
    assert info["response"] == "É→1!"
    assert env.tokens[-4:].tolist() == [2, 2, 4, 2]


@pytest.mark.parametrize("context_length", [9, 10, 11])
def test_the_context_limits_both_views_alike(context_length):
    env = ResponseEnv(Echo(), context_length=context_length)
    env.reset(options={"problem": 12})
    _, _, terminated, truncated, info = env.step("12")
    assert (terminated, truncated) == (context_length == 11, context_length < 11)
    assert info["finish_reason"] == ("stop" if terminated else "context")


def test_token_rows_as_actions_stop_at_the_first_end():
    env = ResponseEnv(Echo(), action="tokens")
    observation, _ = env.reset(options={"problem": 12})
    assert observation in env.observation_space
    row = np.full(6, env.mdp.tokenizer.end_id)
    row[:2] = env.mdp.tokenizer.encode("12")
    row[4] = 9
    observation, reward, terminated, _, info = env.step(row)
    assert (reward, terminated, info["response"]) == (1.0, True, "12")
    assert observation["tokens"][:11].tolist() == [*env.mdp.tokenizer.encode("say 12: 12"), 1]


@settings(max_examples=200, deadline=None)
@given(
    task=st.sampled_from([Echo(), Counting()]),
    tokenizer=st.sampled_from([None, "bytes"]),
    seed=st.integers(0, 1000),
    budget=st.integers(1, 6),
    room=st.integers(10, 80),
    words=st.lists(st.text("0123456789sayx:", max_size=8), min_size=3, max_size=3),
    reward=st.sampled_from(["sparse", "dense"]),
)
def test_the_equivalence_theorem(task, tokenizer, seed, budget, room, words, reward):
    """Same task, seed and text: the same messages, ends and undiscounted return, whatever the limits."""
    if isinstance(task, Counting):
        words = [word.translate(str.maketrans("", "", "sayx:")) for word in words]
    options = {"tokenizer": tokenizer, "max_response_tokens": budget, "context_length": room, "reward": reward}
    token, response = TokenEnv(task, **options), ResponseEnv(task, **options)
    rows = ResponseEnv(task, action="tokens", **options)
    opened = [env.reset(seed=seed)[1] for env in (token, response, rows)]
    assert opened[0] == opened[1] == opened[2]
    totals = [0.0, 0.0, 0.0]
    for word in words:
        ids = [*token.mdp.tokenizer.encode(word), token.mdp.tokenizer.end_id]
        for action in ids:
            _, earned, terminated, truncated, info = token.step(action)
            totals[0] += earned
            if terminated or truncated or "finish_reason" in info:
                break
        _, earned, *ends, told = response.step(word)
        totals[1] += earned
        row = np.full(budget, token.mdp.tokenizer.end_id)
        row[: len(ids)] = ids[:budget]
        _, earned, *ends_too, told_too = rows.step(row)
        totals[2] += earned
        assert [terminated, truncated] == ends == ends_too
        assert info == told == told_too
        assert token.episode.messages == response.episode.messages == rows.episode.messages
        assert token.snapshot().tokens.tolist() == response.snapshot().tokens.tolist() == rows.tokens.tolist()
        if terminated or truncated:
            break
    assert totals == pytest.approx([totals[0]] * 3, abs=1e-12)
    if reward == "sparse":
        assert totals[0] == totals[1] == totals[2]


def test_an_unknown_kind_of_action_is_refused():
    with pytest.raises(ValueError, match="action='words' is not one of"):
        ResponseEnv(Echo(), action="words")
