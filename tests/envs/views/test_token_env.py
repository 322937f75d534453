"""The token view, step by step, and what both single views share."""

import io
import pickle

import gymnasium as gym
import numpy as np
import pytest
from toys import Counting, Digits, Echo, Penalised

from textmdp.envs import ResponseEnv, TokenEnv
from textmdp.envs.views import rendering


def play(env, text):
    """Say `text` and end the turn: the rewards and the last info."""
    rewards = []
    for token in env.actions_for(text):
        _, reward, terminated, truncated, info = env.step(token)
        rewards.append(reward)
        if terminated or truncated or "finish_reason" in info:
            break
    return rewards, terminated, truncated, info


@pytest.mark.parametrize(("task", "right"), [(Penalised(), True), (Counting(), True), (Echo(), False)])
def test_infos_name_the_success_of_the_episode_when_it_ends(task, right):
    for env in (TokenEnv(task), ResponseEnv(task)):
        env.reset(seed=3)
        ended, found = False, []
        while not ended:
            text = env.demonstrate() if right else "9"
            if isinstance(env, ResponseEnv):
                _, _, ended, _, info = env.step(text)
            else:
                _, ended, _, info = play(env, text)
            found.append(info["is_success"])
        assert found == [False] * (task.max_turns - 1) + [right]


def test_one_turn_token_by_token():
    env = TokenEnv(Echo())
    observation, info = env.reset(seed=0, options={"problem": 12})
    assert info == {"problem": 12, "turn": 0, "message": "say 12: "}
    assert env.mdp.tokenizer.decode(env.tokens) == "say 12: "
    assert set(env.roles) == {1}
    rewards, terminated, truncated, info = play(env, "12")
    assert (rewards, terminated, truncated) == ([0.0, 0.0, 1.0], True, False)
    assert info == {
        "turn": 1,
        "finish_reason": "stop",
        "response": "12",
        "message": "",
        "is_success": True,
        "score": {"correct": 1.0, "length": 2.0},
    }
    assert env.roles.tolist() == [1] * 8 + [2] * 3
    assert (observation["roles"][8:] == 0).all(), "an observation that was handed out never changes"
    with pytest.raises(gym.error.ResetNeeded, match=r"call reset\(\)"):
        env.step(3)


def test_the_budget_ends_the_turn_and_what_stands_is_graded():
    env = TokenEnv(Echo(), max_response_tokens=2)
    env.reset(options={"problem": 12})
    rewards, terminated, truncated, info = play(env, "12")
    assert (rewards, terminated, truncated, info["finish_reason"]) == ([0.0, 1.0], True, False, "length")


def test_the_context_truncates_and_nothing_is_graded():
    env = TokenEnv(Echo(), context_length=9)
    env.reset(options={"problem": 12})
    rewards, terminated, truncated, info = play(env, "12")
    assert (rewards, terminated, truncated) == ([0.0], False, True)
    assert info == {"turn": 0, "finish_reason": "context", "response": "1", "is_success": False}


def test_an_end_in_the_last_place_of_the_context_is_an_end():
    env = TokenEnv(Echo(), context_length=11)
    env.reset(options={"problem": 12})
    rewards, terminated, truncated, info = play(env, "12")
    assert (rewards[-1], terminated, truncated, info["finish_reason"]) == (1.0, True, False, "stop")


def test_an_opening_without_room_for_a_response_is_an_error_with_the_fix():
    env = TokenEnv(Echo(), context_length=8)
    with pytest.raises(ValueError, match="opening takes 8 tokens, and the context has context_length=8"):
        env.reset(options={"problem": 12})


def test_turns_alternate_and_the_task_has_the_last_word():
    env = TokenEnv(Counting())
    env.reset(seed=1, options={"problem": 3})
    for turn, word in enumerate(["4", "9", "6"], start=1):
        rewards, terminated, _, info = play(env, word)
        assert info["turn"] == turn
        assert terminated == (turn == 3)
        assert sum(rewards) == float(word != "9")
    assert env.mdp.tokenizer.decode(env.tokens.tolist()) == "".join(env.episode.messages)
    roles = [message["role"] for message in env.episode.chat()]
    assert roles == ["user", "assistant"] * 3 + ["user"]


@pytest.mark.parametrize("context_length", range(5, 30))
def test_a_reply_that_does_not_fit_truncates_with_the_reward_of_its_turn(context_length):
    env = TokenEnv(Counting(), context_length=context_length)
    env.reset(seed=1, options={"problem": 3})
    total, ended = 0.0, False
    while not ended:
        rewards, terminated, truncated, info = play(env, str(4 + env.episode.turn))
        total += sum(rewards)
        ended = terminated or truncated
        assert not (terminated and truncated)
    assert total == info["turn"], "every finished turn was graded"
    assert terminated == (info["turn"] == 3)
    assert env.length <= context_length


def test_bad_actions_change_nothing():
    env = TokenEnv(Echo())
    with pytest.raises(gym.error.ResetNeeded, match="no episode yet"):
        env.step(3)
    env.reset(seed=0)
    before = env.snapshot()
    for action, error in ((99, ValueError), (-1, ValueError), (1.5, TypeError), ("3", TypeError), (None, TypeError)):
        with pytest.raises(error):
            env.step(action)
    assert env.snapshot() == before
    response = ResponseEnv(Echo())
    response.reset(seed=0)
    for action in (3, None, b"12", ["1"]):
        with pytest.raises(TypeError, match="a response is a str"):
            response.step(action)
    tokens = ResponseEnv(Echo(), action="tokens")
    tokens.reset(seed=0)
    for action in ([3], [[3] * 6], [3.0] * 6, [99] * 6, "123456"):
        with pytest.raises(ValueError, match="an action is 6 token ids below 19"):
            tokens.step(action)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reward": "denze"}, "reward='denze' is not one of"),
        ({"shaping_discount": 1.5}, r"shaping_discount=1\.5 must be a number in \[0, 1\]"),
        ({"max_response_tokens": 0}, "max_response_tokens=0 must be a whole number of at least 1"),
        ({"context_length": 1}, "context_length=1 must be a whole number of at least 2"),
        ({"render_mode": "svg"}, "render_mode='svg' is not one of"),
    ],
)
def test_bad_arguments_name_the_rule(arguments, message):
    for view in (TokenEnv, ResponseEnv):
        with pytest.raises(ValueError, match=message):
            view(Echo(), **arguments)


@pytest.mark.parametrize("options", [{"problem": 40}, {"problem": -1}, {"problem": 1.0}, {"problm": 1}])
def test_bad_options_are_errors(options):
    env = TokenEnv(Echo())
    with pytest.raises((ValueError, TypeError), match=r"problem|problm"):
        env.reset(options=options)


def test_dense_rewards_without_a_potential_are_refused_when_the_environment_is_made():
    from textmdp.envs import Task

    class Plain(Echo):
        potential = Task.potential

    with pytest.raises(TypeError, match='use reward="sparse"'):
        TokenEnv(Plain(), reward="dense")


def test_dense_rewards_sit_on_the_token_that_made_progress_and_add_up_to_the_sparse_return():
    env = TokenEnv(Echo(), reward="dense")
    env.reset(options={"problem": 12})
    assert play(env, "12")[0] == [0.5, 0.5, 0.0]
    env.reset(options={"problem": 12})
    assert play(env, "13")[0] == [0.5, 0.0, -0.5]


def test_seeds_decide_and_episodes_go_on_from_them():
    env, twin = TokenEnv(Echo()), TokenEnv(Echo())
    problems = [env.reset(seed=5)[1]["problem"]] + [env.reset()[1]["problem"] for _ in range(20)]
    assert problems == [twin.reset(seed=5)[1]["problem"]] + [twin.reset()[1]["problem"] for _ in range(20)]
    assert len(set(problems)) > 8
    assert TokenEnv(Echo()).reset()[1] != TokenEnv(Echo()).reset()[1] or TokenEnv(Echo()).reset()[1]


def test_a_branch_repeats_the_noise_or_draws_it_afresh():
    env = TokenEnv(Counting())
    env.reset(seed=3)
    play(env, "1")
    snapshot = pickle.loads(pickle.dumps(env.snapshot()))

    def noise(number):
        env.restore(snapshot, noise=number)
        return play(env, "2")[3]["score"]["noise"]

    assert noise(0) == noise(0)
    assert noise(7) == noise(7)
    assert len({noise(number) for number in range(20)}) == 20


def test_a_snapshot_that_does_not_fit_is_refused():
    env = TokenEnv(Echo())
    env.reset(seed=0)
    with pytest.raises(ValueError, match="more than context_length=5"):
        TokenEnv(Echo(), context_length=5).restore(env.snapshot())
    other = TokenEnv(Echo(), tokenizer="bytes")
    other.reset(seed=0)
    with pytest.raises(ValueError, match="taken with another tokenizer"):
        env.restore(other.snapshot())
    with pytest.raises(gym.error.ResetNeeded, match="nothing to take a snapshot of"):
        TokenEnv(Echo()).snapshot()


def test_masks_follow_the_grammar_or_leave_out_padding():
    env = TokenEnv(Echo())
    env.reset(seed=0)
    assert np.flatnonzero(~env.action_masks()).tolist() == [0, 2]
    env = TokenEnv(Digits())
    _, info = env.reset(seed=0)
    assert info["action_mask"].sum() == 10
    assert not info["action_mask"][env.mdp.tokenizer.end_id]
    _, _, _, _, info = env.step(env.mdp.tokenizer.encode("4")[0])
    assert info["action_mask"].sum() == 11
    assert np.array_equal(info["action_mask"], env.action_masks())


def test_a_grammar_needs_the_tokens_that_it_names():
    class Words(Digits):
        def continuations(self, state, partial):
            return {"zebra"}

    env = TokenEnv(Words())
    with pytest.raises(ValueError, match=r"Words\.continuations allows 'zebra', which is no token"):
        env.reset(seed=0)


def test_the_transcript_shows_roles_in_colour_and_the_ledger():
    env = TokenEnv(Echo(), render_mode="ansi")
    env.reset(options={"problem": 12})
    play(env, "12")
    text = env.render()
    assert "\x1b[36msay 12: \x1b[0m" in text
    assert "reward +1 = correct 1 × 1   (length 2)" in text


def test_what_a_policy_says_cannot_steer_the_terminal():
    env = TokenEnv(Echo(), tokenizer="bytes", max_response_tokens=20, render_mode="ansi")
    env.reset(options={"problem": 12})
    play(env, "\x1b[2J\u202eabc")
    assert "\x1b[2J" not in env.render()
    assert "\u202e" not in env.render()
    assert r"\x1b[2J\x202eabc" in env.render()


def test_human_rendering_prints_every_character_once(capsys):
    env = TokenEnv(Counting(), render_mode="human")
    env.reset(seed=0, options={"problem": 3})
    for word in "456":
        play(env, word)
    printed = capsys.readouterr().out
    assert printed.strip() == rendering.transcript(env.episode, colour=False).strip()
    assert printed.count("reward +1") == 3


def test_half_a_character_waits_for_its_other_half():
    stream = io.StringIO()
    printer = rendering.Printer(stream, colour=False)
    env = TokenEnv(Echo(), tokenizer="bytes", max_response_tokens=9)
    env.reset(options={"problem": 1})
    for token in env.mdp.tokenizer.encode("é1"):
        env.step(token)
        printer.update(env.episode, env.mdp.tokenizer.decode(env.tokens[8 - 1 :].tolist()))
    assert stream.getvalue() == "say 1: é1"


def test_rendering_without_a_mode_says_how():
    env = TokenEnv(Echo())
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.render() is None
