"""The microscope's data: truth, rows of the table, branches and alternatives, against what is known of the tasks."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from textmdp.agents.algorithms.objectives import OBJECTIVES
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.microscope.branches import branch
from textmdp.agents.microscope.examine import examine
from textmdp.agents.microscope.policies import distributions
from textmdp.agents.microscope.settings import Settings
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.models.value_function import ValueFunction
from textmdp.agents.rollouts.rollout import make_envs
from textmdp.agents.rollouts.scripted import CarelessExpertAgent, ExpertAgent, RandomAgent

FEW = Settings(group_size=4, samples=16, seed=3)


@pytest.fixture(scope="module")
def umbrella():
    return examine(RandomAgent(0), "TextUmbrella-v0", {"length": 3}, [0, 1], FEW, name="random")


def test_the_truth_credits_the_first_token_alone(umbrella):
    assert umbrella.reference == "exact"
    for episode in umbrella.episodes:
        first, *others = episode.tokens
        good = (first.text == "take") == episode.pieces[0].startswith("rain")
        assert first.advantages["exact"] == pytest.approx(0.5 if good else -0.5)
        assert first.values["exact"] == pytest.approx(0.5)
        assert [token.advantages["exact"] for token in others] == pytest.approx([0.0] * 3)
        assert episode.verdict.startswith(f"«{first.text}» (turn 1) {'raised' if good else 'lowered'}")


def test_every_row_of_the_table_is_there_or_left_out_with_a_reason(umbrella):
    names = {estimator.name for estimator in umbrella.estimators}
    assert names | umbrella.left_out.keys() >= OBJECTIVES.keys() | {"exact", "branches", "vine", "gae λ=0", "gae λ=1"}
    assert umbrella.left_out == {"remax": "the agent has no greedy version to compare with"}
    for episode in umbrella.episodes:
        assert all(token.advantages.keys() == names for token in episode.tokens)


def test_rows_are_the_algorithms_own_numbers(umbrella):
    for episode in umbrella.episodes:
        to_go = np.cumsum([token.reward for token in episode.tokens][::-1])[::-1]
        advantages = {
            name: [token.advantages[name] for token in episode.tokens] for name in OBJECTIVES if name != "remax"
        }
        assert advantages["reinforce"] == pytest.approx(to_go)
        assert advantages["reinforce-group"] == pytest.approx(to_go - np.mean(episode.group_returns))
        assert to_go[0] == pytest.approx(episode.total)
        exact_v = np.array([token.values["exact"] for token in episode.tokens])
        assert [token.advantages["gae λ=1"] for token in episode.tokens] == pytest.approx(to_go - exact_v)


def test_branches_agree_with_the_truth_within_their_errors(umbrella):
    for episode in umbrella.episodes:
        for token in episode.tokens:
            assert abs(token.values["branches"] - token.values["exact"]) <= 4.5 * token.value_error + 1e-9
            for one in token.alternatives:
                assert abs(one.advantage - one.exact) <= 4.5 * one.error + 1e-9
                assert len(one.returns) == FEW.samples


def test_alternatives_are_the_legal_tokens_with_the_token_among_them(umbrella):
    for episode in umbrella.episodes:
        for i, token in enumerate(episode.tokens):
            assert {one.text for one in token.alternatives} == ({"take", "leave"} if i == 0 else {"left", "right"})
            assert [one.text for one in token.alternatives if one.chosen] == [token.text]
            assert token.log_prob == pytest.approx(np.log(0.5))
            assert token.entropy == pytest.approx(np.log(2))


def test_the_best_and_the_worst_of_a_group_are_shown(umbrella):
    for episode in umbrella.episodes:
        assert len(episode.group_returns) == 4
        assert episode.total in (max(episode.group_returns), min(episode.group_returns))


def test_the_transcript_and_the_ledger_are_the_episode(umbrella):
    for episode in umbrella.episodes:
        assert [piece for piece in episode.pieces if isinstance(piece, int)] == [0, 1, 2, 3]
        assert [turn.response for turn in episode.turns] == [token.text for token in episode.tokens]
        assert sum(turn.reward for turn in episode.turns) == pytest.approx(episode.total)


def test_it_is_plain_json_and_repeats_itself(umbrella):
    again = examine(RandomAgent(0), "TextUmbrella-v0", {"length": 3}, [0, 1], FEW, name="random")
    assert json.loads(json.dumps(umbrella.as_dict())) == json.loads(json.dumps(again.as_dict()))


def test_a_continuation_begins_with_the_swapped_token(umbrella):
    for episode in umbrella.episodes:
        for one in episode.tokens[0].alternatives:
            assert one.continuation[0] == ("policy", one.text)
            assert [role for role, _ in one.continuation] == ["policy", *["environment", "policy"] * 3]


@pytest.mark.parametrize("grammar", [True, False])
def test_a_language_model_with_a_learnt_value(grammar, one_thread):
    envs = make_envs("TextDelay-v0", 2, delay=1)
    model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length, width=32, heads=2)
    agents = [LanguageModelAgent(model, greedy=greedy, grammar=grammar) for greedy in (False, True)]
    value = ValueFunction(model)
    value.head[2].bias.data += 0.25
    credit = examine(agents[0], "TextDelay-v0", {"delay": 1}, [0], FEW, greedy=agents[1], value=value, running_mean=0.5)
    assert credit.left_out == {}
    for episode in credit.episodes:
        to_go = np.cumsum([token.reward for token in episode.tokens][::-1])[::-1]
        assert all(token.values["learnt"] != token.values["exact"] for token in episode.tokens)
        assert [token.advantages["reinforce-running"] for token in episode.tokens] == pytest.approx(to_go - 0.5)
        for token in episode.tokens:
            assert sum(one.probability for one in token.alternatives) <= 1 + 1e-6
            assert np.exp(token.log_prob) == pytest.approx(next(a.probability for a in token.alternatives if a.chosen))
            for one in token.alternatives:
                assert abs(one.advantage - one.exact) <= 4.5 * max(one.error, 0.06)


def test_without_exact_values_branches_are_the_reference():
    credit = examine(ExpertAgent(), "TextMath-v0", {"difficulty": "one-digit"}, [5], FEW, greedy=ExpertAgent())
    assert credit.reference == "branches"
    assert credit.left_out == {"exact": "the task has unlimited problems"}
    (episode,) = credit.episodes
    assert episode.total == 1
    assert episode.tokens[-1].text == ""
    assert "by" in episode.verdict or "made a difference" in episode.verdict
    wrong = [one for one in episode.tokens[0].alternatives if not one.chosen]
    assert all(one.advantage <= 0 for one in wrong)
    assert min(one.advantage for one in wrong) == -1


def test_a_tree_that_is_too_large_is_left_out_with_the_number():
    credit = examine(RandomAgent(0), "TextUmbrella-v0", {}, [0], replace(FEW, max_prefixes=10))
    assert credit.reference == "branches"
    assert "prefixes" in credit.left_out["exact"]


def test_an_agent_of_unknown_probabilities_is_refused():
    with pytest.raises(TypeError, match="CarelessExpertAgent are unknown"):
        examine(CarelessExpertAgent(0.5), "TextUmbrella-v0", {}, [0], FEW)


def test_dense_rewards_are_refused():
    with pytest.raises(ValueError, match="sparse"):
        examine(RandomAgent(0), "TextMath-v0", {"reward": "dense"}, [0], FEW)


@pytest.mark.parametrize("wrong", [{"group_size": 1}, {"samples": 1}, {"alternatives": 0}, {"max_prefixes": -1}])
def test_settings_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)


def test_branches_meet_the_same_chance():
    envs = make_envs("TextUmbrella-v0", 7)
    envs.reset(seed=0, options={"problem": 1})
    (start,) = envs.snapshot([0])
    take, leave = (envs.mdp.tokenizer.encode(word)[0] for word in ("take", "leave"))
    found = branch(RandomAgent(0), envs, [start, start], 10, actions=np.array([take, leave]))
    assert found.returns[0] - found.returns[1] == pytest.approx(1.0)
    assert [messages[1] for messages in found.messages] == ["take", "leave"]
    with pytest.raises(ValueError, match="samples=1"):
        branch(RandomAgent(0), envs, [start], 1)


def test_the_distribution_of_an_expert_is_its_choice():
    envs = make_envs("TextUmbrella-v0", 1)
    envs.reset(seed=0, options={"problem": 1})
    (start,) = envs.snapshot()
    token = envs.mdp.tokenizer.encode("take")[0]
    (row,) = distributions(ExpertAgent(), envs.mdp, [start, start], [token])
    assert row[token] == row.sum() == 1
