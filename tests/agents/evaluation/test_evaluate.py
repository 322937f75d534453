import json
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from toys import Counting, Echo, Penalised

from textmdp.agents.evaluation.evaluate import (
    Evaluation,
    choose_problems,
    evaluate,
    mean_parts,
    rollouts,
    score_parts,
    solved,
)
from textmdp.agents.evaluation.intervals import wilson_interval
from textmdp.agents.evaluation.rows import evaluation_rows, share
from textmdp.agents.rollouts.scripted import ExpertAgent, NoisyExpertAgent, RandomAgent
from textmdp.envs import TokenVectorEnv


def vector(task=None, rows=8, **options):
    return TokenVectorEnv(task or Echo(), rows, autoreset_mode="Disabled", copy=False, **options)


def test_an_expert_on_a_dialogue():
    result = evaluate(ExpertAgent(), vector(Counting()), episodes=5, seed=0)
    assert (result.episodes, result.problems) == (5, 5)
    assert result.accuracy == 1.0
    assert result.accuracy_interval == wilson_interval(5, 5)
    assert result.mean_return == 3.0
    assert result.turns == 3.0
    assert result.response_tokens == 2.0  # a digit and the end of the turn
    assert result.finish_reasons == {"stop": 1.0}
    assert result.scores["correct"] == 1.0
    assert 0 < result.scores["noise"] < 1
    assert result.return_interval == pytest.approx((3 * wilson_interval(5, 5)[0], 3.0))


def test_parts_of_weight_0_are_means_over_episodes():
    batch = next(rollouts(ExpertAgent(), vector(Counting()), range(5), seed=0))
    parts = score_parts(batch)
    for episode, means in zip(batch.episodes, parts, strict=True):
        assert [score.weights.get("noise", 0.0) for score in episode.scores] == [0.0] * 3
        assert means["noise"] == pytest.approx(np.mean([score.parts["noise"] for score in episode.scores]))
    assert mean_parts(parts)["noise"] == pytest.approx(np.mean([means["noise"] for means in parts]))
    assert mean_parts([{"undecided": 1.0}, {"undecided": 0.0, "length": 4.0}]) == {"undecided": 0.5, "length": 4.0}


def test_a_random_agent_fails_and_finish_reasons_are_shares():
    result = evaluate(RandomAgent(0), vector(), episodes=40, seed=0)
    assert result.accuracy < 0.2
    assert sum(result.finish_reasons.values()) == pytest.approx(1)
    assert set(result.finish_reasons) <= {"stop", "length"}


def test_each_problem_is_played_once_in_batches_of_any_size():
    seen = []
    for batch in rollouts(ExpertAgent(), vector(rows=7), choose_problems(Echo(), 100, seed=3), seed=3):
        assert len(batch) == len(batch.episodes) == len(batch.finish_reasons) == len(batch.returns)
        seen += batch.problems.tolist()
    assert sorted(seen) == list(range(40))


def test_problems_may_be_repeated_evenly_where_the_agent_draws():
    result = evaluate(RandomAgent(0), vector(Counting()), episodes=20, seed=0, distinct=False)
    assert (result.episodes, result.problems) == (20, 5)


def test_the_rows_of_the_environment_do_not_matter_to_a_deterministic_agent():
    one, other = (evaluate(ExpertAgent(), vector(Echo(), rows), episodes=20, seed=1) for rows in (3, 20))
    assert [t["problem"] for t in one.transcripts] == [t["problem"] for t in other.transcripts]
    assert one.response_tokens == other.response_tokens


def test_procedural_problems_differ_by_content_and_follow_from_the_seed():
    task = gym.make("TextMath-v0", split="test").unwrapped.mdp.task
    chosen = choose_problems(task, 300, seed=0)
    assert len({text for _, text in task.problems(chosen)}) == 300
    assert chosen == choose_problems(task, 300, seed=0) != choose_problems(task, 300, seed=1)


def test_a_small_procedural_supply_is_played_whole():
    envs = gym.make_vec("TextMath-v0", 16, autoreset_mode="Disabled", difficulty="one-digit", split="test")
    result = evaluate(ExpertAgent(), envs, episodes=500, seed=0)
    assert result.episodes == result.problems < 100
    assert result.accuracy == 1.0


def test_shaping_moves_the_return_and_not_the_accuracy():
    sparse, dense = (
        evaluate(NoisyExpertAgent(0.3, seed=0), vector(reward=reward), episodes=40, seed=0)
        for reward in ("sparse", "dense")
    )
    assert sparse.accuracy == dense.accuracy > 0


def test_a_response_that_the_context_cuts_off_is_in_the_transcript():
    result = evaluate(ExpertAgent(), vector(Echo(), context_length=9), episodes=40, seed=0, transcripts=40)
    assert result.finish_reasons["context"] > 0.5
    assert result.terminated < 0.5
    cut = next(t for t in result.transcripts if t["finish_reason"] == "context")
    assert cut["truncated"]
    assert cut["scores"] == []
    assert cut["messages"][-1]["role"] == "policy"
    assert cut["messages"][-1]["text"] == cut["messages"][0]["text"][4:5]  # the first digit of "say 17: "
    assert result.response_tokens <= 2


def test_evaluations_survive_json():
    result = evaluate(NoisyExpertAgent(0.2), vector(Counting()), episodes=5, seed=0)
    assert Evaluation.from_dict(json.loads(json.dumps(result.as_dict()))) == result


def test_what_samples_say_survives_json_and_older_files_are_read():
    plain = evaluate(ExpertAgent(), vector(Counting()), episodes=5, seed=0)
    result = replace(plain, samples=4, at_k={"pass@1": (0.5, 0.25, 0.75), "maj@4": (1.0, 0.9, 1.0)})
    assert Evaluation.from_dict(json.loads(json.dumps(result.as_dict()))) == result
    older = json.loads(json.dumps(plain.as_dict()))
    del older["samples"], older["at_k"]
    assert Evaluation.from_dict(older) == plain


def test_success_follows_from_the_scores():
    batch = next(rollouts(NoisyExpertAgent(0.2, seed=0), vector(Counting(), 10), [0, 1, 2, 3, 4] * 2, seed=0))
    batch.rewards[:] = 0  # what shaping may do
    right = solved(batch, Counting())
    assert right.tolist() == [[s.parts["correct"] for s in episode.scores] == [1.0] * 3 for episode in batch.episodes]
    assert 0 < right.sum() < 10


def test_an_expert_with_penalties_is_right():
    agent, envs = ExpertAgent(), vector(Penalised(), 10)
    result = evaluate(agent, envs, episodes=20, seed=0)
    assert result.accuracy == 1.0
    assert result.mean_return < 1.0
    assert evaluate(NoisyExpertAgent(1.0, seed=0), envs, episodes=20, seed=0).accuracy < 1.0


def test_no_episodes_are_refused():
    with pytest.raises(ValueError, match="episodes=0 must be at least 1"):
        evaluate(ExpertAgent(), vector(), episodes=0, seed=0)


def test_evaluations_side_by_side():
    good, bad = (evaluate(agent, vector(), episodes=40, seed=0) for agent in (ExpertAgent(), RandomAgent(0)))
    rows = {label: cells for label, *cells in evaluation_rows([good, bad])}
    assert rows["accuracy"][0] == share(1.0, wilson_interval(40, 40)) == "100.0 % [91.2, 100.0]"
    assert rows["episodes"] == ["40", "40"]
    assert all(len(cells) == 2 for cells in rows.values())
    rows = {label: cells for label, *cells in evaluation_rows([replace(good, at_k={"pass@8": (0.5, 0.4, 0.6)}), bad])}
    assert rows["pass@8"] == ["50.0 % [40.0, 60.0]", "–"]
