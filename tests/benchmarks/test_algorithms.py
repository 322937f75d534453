"""The tables of algorithms and the comparison with TRL: small ones, and curves whose figures are known."""

import csv
import importlib.util
import json
import sys
from functools import partial

import numpy as np
import pytest

from textmdp.agents.algorithms.config import Config
from textmdp.agents.algorithms.objectives import OBJECTIVES
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import make_envs, rollout
from textmdp.benchmarks import algorithms, common, trl_comparison, trl_trainer
from textmdp.envs.core.episode import POLICY

ENV_ID = "TextMath-v0"
CURVES = {  # by algorithm and seed, at 0, 100, 200 and 400 episodes
    "reinforce": {0: [0.2, 0.4, 0.6, 0.6], 1: [0.4, 0.4, 0.4, 0.4]},
    "grpo": {0: [0.2, 0.9, 0.96, 0.9], 1: [0.4, 0.95, 0.5, 1.0]},
}
ROWS = [
    {"algorithm": name, "seed": seed, "episodes": episodes, "seconds": episodes / 10, "accuracy": accuracy}
    for seed in (1, 0)
    for name, seeds in CURVES.items()
    for episodes, accuracy in zip([0, 100, 200, 400], seeds[seed], strict=True)
]


@pytest.fixture
def tiny(monkeypatch):
    """Seconds instead of minutes."""
    imitation = partial(common.ImitationConfig, episodes=8, steps=2)
    monkeypatch.setattr(common, "ImitationConfig", imitation)
    monkeypatch.setattr(algorithms, "Config", partial(Config, episodes=16))


def run(module, monkeypatch, *options):
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, options)])
    module.main()


def test_each_seed_gives_an_algorithm_its_figures():
    figures = algorithms.per_seed(ROWS, "grpo", 0.95)
    assert figures["final_accuracy"].tolist() == [0.9, 1.0]
    areas = [(0.55 * 100 + 0.93 * 100 + 0.93 * 200) / 400, (0.675 * 100 + 0.725 * 100 + 0.75 * 200) / 400]
    assert figures["mean_accuracy"] == pytest.approx(areas)
    assert figures["episodes_to_bar"].tolist() == [200, 100]
    assert figures["seconds_to_bar"].tolist() == [20, 10]
    assert algorithms.per_seed(ROWS, "reinforce", 0.95)["episodes_to_bar"].tolist() == [np.inf, np.inf]


def test_the_summary_compares_with_the_first_row_and_is_json():
    found = algorithms.summary(ROWS, 0.95)
    assert found["reinforce"]["more_than_first"] == [0, 0, 0]
    assert found["reinforce"]["episodes_to_bar"] == [None, None, None]
    assert found["grpo"]["better_than_first"] == [1, 1, 1]
    mean, low, high = found["grpo"]["more_than_first"]
    assert low < mean < high
    assert found["grpo"]["by_seed"]["final_accuracy"] == [0.9, 1.0]
    json.dumps(found, allow_nan=False)


def test_the_table_shows_bars_that_were_never_reached():
    lines = algorithms.table(algorithms.summary(ROWS, 0.95), 0.95).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2] == "| `reinforce` | 0.500 [0.400, 0.600] | 0.450 [0.400, 0.500] | – | never | never |"
    assert "0.950 [0.900, 1.000]" in lines[3]
    assert "150 [100, 200]" in lines[3]


@pytest.mark.parametrize("count", [1, 3, 6])
def test_the_picture_has_a_panel_for_each(count, tmp_path):
    rows = [{**row, "algorithm": f"{row['algorithm']} {i}"} for i in range(count) for row in ROWS]
    algorithms.draw(rows, ENV_ID, 0.95, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_every_algorithm_runs_from_the_same_warm_start(tiny, tmp_path, monkeypatch, capsys):
    options = ["--env", "TextGuess-v0", "--seeds", 0, 1, "--updates", 2, "--every", 1, "--episodes", 5, "--jobs", 1]
    run(algorithms, monkeypatch, *options, "--out", tmp_path)
    with open(tmp_path / "algorithms_TextGuess-v0.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 3 * len(OBJECTIVES)
    first = [row for row in rows if float(row["update"]) == 0]
    for seed in ("0", "1"):
        assert len({(row["accuracy"], row["sampled_return"]) for row in first if row["seed"] == seed}) == 1
    written = json.loads((tmp_path / "algorithms_TextGuess-v0.json").read_text())
    assert [*written["algorithms"]] == [*OBJECTIVES]
    assert all(figures["is"] for figures in written["algorithms"].values())
    assert written["command"].startswith("python -m textmdp.benchmarks.algorithms --env TextGuess-v0")
    assert (tmp_path / "algorithms_TextGuess-v0.png").read_bytes().startswith(b"\x89PNG")
    assert "| `grpo` |" in capsys.readouterr().out


def sampled_completions():
    """What a fresh model writes about four problems, as TRL would hand it to a reward function."""
    envs = make_envs(ENV_ID, 8, max_response_tokens=8)
    model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length)
    batch = rollout(LanguageModelAgent(model, seed=1), envs, seed=0, problems=np.repeat([3, 5, 7, 9], 2).tolist())
    ids = [tokens[roles == POLICY].tolist() for tokens, roles in zip(batch.tokens, batch.roles, strict=True)]
    texts = envs.mdp.tokenizer.to_transformers().batch_decode(ids, skip_special_tokens=True)
    return envs, ids, texts, batch


def test_the_reward_function_is_the_environment():
    envs, ids, texts, batch = sampled_completions()
    answers = [envs.mdp.task.problem(problem)[0].answer for problem in batch.problems.tolist()]
    for right in (0, 5):  # some rewards that are not 0
        texts[right] = answers[right]
        ids[right] = [*envs.mdp.tokenizer.encode(answers[right]), envs.mdp.tokenizer.end_id]
    checker = trl_trainer.Checker(envs)
    rewards = checker([], texts, ids, batch.problems.tolist(), trainer_state=None)
    assert [rewards[0], rewards[5]] == [1, 1]
    assert checker.compared


def test_a_reward_function_that_sees_other_texts_is_refused():
    envs, ids, texts, batch = sampled_completions()
    with pytest.raises(AssertionError, match="the comparison is unfair: TRL decodes"):
        trl_trainer.Checker(envs)([], ["", *texts[1:]], ids, batch.problems.tolist())


def test_a_side_knows_when_it_reached_the_bar(monkeypatch):
    seen = iter([0.4, 0.8, 0.96])
    monkeypatch.setattr(
        trl_comparison.Side, "_evaluate", lambda side: side.accuracies.append((len(side.seconds), next(seen)))
    )
    side = trl_comparison.Side(None, trl_comparison.Setting(updates=9, bar=0.95, every=2))
    while not side.done:
        side.add(0.5)
    assert side.accuracies == [(0, 0.4), (2, 0.8), (4, 0.96)]
    assert (side.reached, side.seconds_to_bar) == (4, 2.0)


def test_without_trl_the_comparison_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "trl", None)
    envs = make_envs(ENV_ID, 8)
    model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length)
    with pytest.raises(ImportError, match=r"textmdp\[trl\]"):
        trl_trainer.trl_trainer(model, envs, Config(algorithm="grpo", episodes=8), None, "")


@pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="trl is not installed")
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("options", [[], ["--to-accuracy", "0.0"]])
def test_trl_and_we_take_turns(options, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(trl_comparison, "Setting", partial(trl_comparison.Setting, episodes=16, evaluated=8))
    monkeypatch.setattr(trl_comparison, "WARM_UP", 1)
    run(trl_comparison, monkeypatch, *options, "--updates", 3, "--epochs", 2, "--threads", 1, "--out", tmp_path)
    (path,) = tmp_path.iterdir()
    (found,) = json.loads(path.read_text())["found"]
    if options:
        assert found["ours"] == found["trl"]  # the same warm start, evaluated alike
        assert found["trl"]["seconds_to_bar"] == 0
    else:
        assert found["ratio"]["median"] > 0
        parts = sum(found[f"seconds_{part}"]["median"] for part in ("env", "decoding", "update"))
        assert parts == pytest.approx(found["seconds_ours"]["median"], rel=0.5)
