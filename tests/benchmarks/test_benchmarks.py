"""The benchmarks run and add up; their figures are for quiet machines, not for tests."""

import csv
import json
import sys
from functools import partial

import pytest

from textmdp.agents.algorithms.config import Config
from textmdp.agents.models.language_model import LanguageModel
from textmdp.benchmarks import answers, code_learning, common, decoding, judging, learning, throughput
from textmdp.envs.judge import Judge
from textmdp.envs.tokenizers import make_tokenizer


def test_throughput_measures_every_row_and_its_ratios():
    figures = throughput.measure(rounds=2, seconds=0.02)
    low, high = figures["native_over_sync"]["quartiles"]
    assert 0 < low <= figures["native_over_sync"]["median"] <= high
    assert all(rate > 0 for rate in figures["steps_per_second"].values())
    assert figures["import_seconds"] > 0
    json.dumps(figures)


def test_learning_writes_curves_a_summary_and_a_picture(tmp_path, monkeypatch, capsys):
    config, imitation = partial(learning.Config, episodes=8), partial(learning.ImitationConfig, episodes=8, steps=2)
    monkeypatch.setattr(learning, "Config", config)
    monkeypatch.setattr(learning, "ImitationConfig", imitation)
    monkeypatch.setattr(common, "ImitationConfig", imitation)
    command = [
        "learning",
        "--env",
        "TextGuess-v0",
        "--seeds",
        "0",
        "1",
        "--updates",
        "2",
        "--every",
        "1",
        "--jobs",
        "1",
    ]
    monkeypatch.setattr(sys, "argv", [*command, "--episodes", "5", "--out", str(tmp_path)])
    learning.main()
    with open(tmp_path / "learning_TextGuess-v0.csv") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["seed"]), float(row["update"])) for row in rows] == [(s, u) for s in (0, 1) for u in (0, 1, 2)]
    written = json.loads((tmp_path / "learning_TextGuess-v0.json").read_text())
    assert [seed["seed"] for seed in written["seeds"]] == [0, 1]
    assert (tmp_path / "learning_TextGuess-v0.png").read_bytes().startswith(b"\x89PNG")
    assert "seed 1" in capsys.readouterr().out


def test_a_summary_knows_when_the_bar_was_reached_and_when_not():
    curve = {"warm_up_seconds": 3.0, "low": 0.1, "high": 0.2, "episodes": 0}
    rows = [
        {"seed": 0, "update": 0, "seconds": 0.0, "accuracy": 0.4, **curve},
        {"seed": 0, "update": 5, "seconds": 2.04, "accuracy": 0.96, **curve},
        {"seed": 0, "update": 10, "seconds": 4.0, "accuracy": 0.94, **curve},
        {"seed": 1, "update": 0, "seconds": 0.0, "accuracy": 0.3, **curve},
    ]
    reached, never = learning.summary(rows, 0.95)
    assert (reached["seconds_to_bar"], reached["updates_to_bar"], reached["final_accuracy"]) == (2.0, 5, 0.94)
    assert (never["seconds_to_bar"], never["warm_start_accuracy"]) == (None, 0.3)


def test_graders_are_counted_by_kind(tmp_path):
    rows = [
        {"kind": "core", "gold": "72", "prediction": "#### 72", "expected": True, "reference_verdicts": {"x": False}},
        {"kind": "core", "gold": ["1", "2"], "prediction": "2", "expected": True, "reference_verdicts": {"x": True}},
        {"kind": "core", "gold": "72", "prediction": "71", "expected": False, "reference_verdicts": {"x": True}},
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert answers.tally(path)["core"] == {"textmdp": [2, 2, 0, 1], "x": [1, 2, 1, 1]}
    assert min(answers.integer_checks_per_second(1000)) > 0


def test_the_cost_of_a_step_is_fitted():
    start, per_thousand = throughput.cost_by_length(num_envs=2, tokens=300, repeats=1)
    assert start > 0
    assert per_thousand == pytest.approx(per_thousand)


SWEEP = ["--parameters", "0.01", "--batches", "4", "--groups", "1", "2", "--repeats", "2"]


def swept(benchmark, name, tmp_path, monkeypatch):
    """What a benchmark writes of a model that is next to nothing."""
    monkeypatch.setitem(decoding.SHAPES, 0.01, (1, 24, 2))
    path = tmp_path / f"{name}.json"
    monkeypatch.setattr(sys, "argv", [name, *SWEEP, "--out", str(path)])
    benchmark.main()
    return json.loads(path.read_text())


def test_decoding_measures_both_ways(tmp_path, monkeypatch, capsys):
    result = swept(decoding, "decoding", tmp_path, monkeypatch)
    assert result["command"] == " ".join(["python -m textmdp.benchmarks.decoding", *SWEEP])
    assert result["versions"].keys() >= {"torch", "transformers"}
    assert [written["group"] for written in result["runs"]] == [1, 2]
    for written in result["runs"]:
        low, high = written["ratio"]["quartiles"]
        assert 0 < low <= written["ratio"]["median"] <= high
        assert 0 < written["share_of_environment"] < 1
        assert sum(written["parts_of_an_update"].values()) == pytest.approx(1)
        assert min(written["parts_of_an_update"].values()) > 0
        assert all(0 < share < 1 for share in written["share_of_matmul_peak"].values())
    assert f"{written['parameters']:,}" in capsys.readouterr().out


def test_the_operations_of_a_batch_are_those_of_its_positions_each_prompt_read_once():
    model = LanguageModel.tiny(make_tokenizer(None, ("a",)), 64, layers=1, width=24, heads=2)
    tokens = decoding.PROMPT + decoding.RESPONSE - 1
    # Two for each parameter; queries with keys and weights with values, two for each entry.
    each = [2 * model.num_parameters + 2 * 2 * 24 * (position + 1) for position in range(tokens)]
    assert decoding.operations(model, 5, 1) == 5 * sum(each)
    assert decoding.operations(model, 6, 3) == 2 * sum(each[: decoding.PROMPT]) + 6 * sum(each[decoding.PROMPT :])


def test_no_forgery_fools_the_judge_and_every_verdict_is_checked():
    with Judge() as judge:
        grade = judging.with_judge(judge)
        forged = [judging.make_grading(0, source) for source in judging.FORGERIES.values()]
        for system in grade, judging.with_judge(judge, sharing=True):
            assert system([*forged, judging.make_grading(1)]) == [*[False] * len(forged), True]
        taken = judging.rates({"judge": grade}, {"judge": 3}, rounds=2)
        assert len(taken["judge"]) == 2
        assert min(taken["judge"]) > 0
        with pytest.raises(RuntimeError, match="failed 3 right programs"):
            judging.rates({"wrong": lambda gradings: [False] * len(gradings)}, {"wrong": 3}, rounds=1)


def test_what_passes_by_its_exit_status_is_fooled():
    """The comparison is worth something only where the tricks work."""
    grade = judging.with_subprocess()
    fooled = grade([judging.make_grading(0, judging.FORGERIES[name]) for name in ("exits with status 0",)])
    assert (fooled, grade([judging.make_grading(1)])) == ([True], [True])


def test_learning_to_program_writes_curves_examples_and_a_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(
        code_learning, "imitation", lambda seed: learning.ImitationConfig(seed=seed, episodes=8, steps=2)
    )
    monkeypatch.setattr(code_learning, "setting", lambda name, seed, n: Config(algorithm=name, episodes=16, updates=n))
    words = "code_learning --seeds 0 --updates 2 --every 1 --episodes 9 --jobs 1 --out"
    monkeypatch.setattr(sys, "argv", [*words.split(), str(tmp_path)])
    code_learning.main()
    with open(tmp_path / "code_learning.csv") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in code_learning.ALGORITHMS for _ in range(3)]
    assert [(row["algorithm"], int(row["update"])) for row in rows] == list(zip(names, [0, 1, 2] * 2, strict=True))
    assert rows[0]["passed"] == rows[3]["passed"], "both begin where the warm start ended"
    written = json.loads((tmp_path / "code_learning.json").read_text())
    assert [line["algorithm"] for line in written["seeds"]] == list(code_learning.ALGORITHMS)
    assert [[share < 1 for share in written["grading_costs"][name]] for name in code_learning.ALGORITHMS] == [
        [True]
    ] * 2
    assert len(written["examples"]) == 8
    assert (tmp_path / "code_learning.png").read_bytes().startswith(b"\x89PNG")
