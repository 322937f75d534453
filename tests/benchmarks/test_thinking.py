"""The benchmark of thinking: a tiny run, its measures, and a summary whose figures are known."""

import csv
import json
import sys
from functools import partial

import pytest

from textmdp.agents.algorithms.config import Config, ImitationConfig
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.scripted import ExpertAgent
from textmdp.benchmarks import thinking


@pytest.fixture
def tiny(monkeypatch):
    """Seconds instead of minutes."""
    monkeypatch.setattr(thinking, "ImitationConfig", partial(ImitationConfig, episodes=8))
    monkeypatch.setattr(thinking, "Config", partial(Config, episodes=16))
    monkeypatch.setattr(thinking, "WORKED_STEPS", 2)
    monkeypatch.setattr(thinking, "MIXED_STEPS", 2)


def test_a_run_writes_curves_a_summary_responses_and_a_picture(tiny, tmp_path, monkeypatch):
    names = ["grpo", "thinking forbidden", "six digits"]
    options = ["--seeds", "0", "1", "--updates", "2", "--every", "1", "--episodes", "8", "--jobs", "1"]
    monkeypatch.setattr(sys, "argv", ["thinking", *options, "--settings", *names, "--out", str(tmp_path)])
    thinking.main()
    with open(tmp_path / "thinking.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 3 * 3
    for row in rows:
        assert 0 <= float(row["accuracy"]) <= 1
        assert 0 < float(row["tokens"]) <= 16
        if row["setting"] == "thinking forbidden":
            assert float(row["thinks"]) == 0
    written = json.loads((tmp_path / "thinking.json").read_text())
    assert [line["setting"] for line in written["settings"]] == names
    moments = written["responses"]["grpo"]
    assert list(moments) == ["start, update 0", "middle, update 1", "end, update 2"]
    questions = {tuple(text.partition("=")[0] for text in texts) for texts in moments.values()}
    assert len(questions) == 1, "the same problems each time"
    assert (tmp_path / "thinking.png").read_bytes().startswith(b"\x89PNG")


def test_an_expert_who_thinks_is_measured_as_one(monkeypatch):
    setting = thinking.Setting()
    monkeypatch.setattr(thinking, "LanguageModelAgent", lambda model, **_: ExpertAgent())
    model = LanguageModel.tiny(setting.envs(1).mdp.tokenizer, setting.envs(1).mdp.context_length, seed=0)
    seen = thinking.look(model, setting.envs(32, "test", share=1.0), grammar=False)
    assert (seen["thinks"], seen["tokens"], seen["accuracy"], seen["steps_right"]) == (1, 11, 1, 1)
    seen = thinking.look(model, setting.envs(32, "test", share=0.0), grammar=False)
    assert (seen["thinks"], seen["tokens"], seen["accuracy"], seen["steps_right"]) == (0, 3, 1, 0)


def test_the_control_differs_by_the_grammar_alone():
    free, forbidden = thinking.SETTINGS["reinforce-group"], thinking.SETTINGS["thinking forbidden"]
    assert forbidden == free._replace(grammar=True)
    one, other = free.envs(1).mdp, forbidden.envs(1).mdp
    assert (one.tokenizer, one.context_length, one.max_response_tokens) == (
        other.tokenizer,
        other.context_length,
        other.max_response_tokens,
    )


def test_the_summary_leaves_out_seeds_without_responses_of_a_kind():
    nan = float("nan")
    rows = [
        {"setting": "grpo", "seed": seed, "update": update, "seconds": 2.0 * update, "thinks": share, "tokens": 3.0}
        | {"accuracy": share, "accuracy_thinking": thinking_accuracy, "accuracy_direct": 0.1}
        for seed, points in {0: [(0.1, 0.4), (0.9, 0.8)], 1: [(0.0, nan), (0.7, 0.6)]}.items()
        for update, (share, thinking_accuracy) in enumerate(points)
    ]
    (line,) = thinking.summary(rows)
    assert line["thinks_start"][0] == pytest.approx(0.05)
    assert line["accuracy_thinking_start"] == [0.4, 0.4, 0.4]
    assert line["accuracy_thinking_end"][0] == pytest.approx(0.7)
