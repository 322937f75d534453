"""The benchmark of thinking: a tiny run, its measures, and a summary whose figures are known."""

import csv
import json
import sys
from functools import partial

import pytest

from textmdp.agents.algorithms.config import Config
from textmdp.benchmarks import thinking


@pytest.fixture
def tiny(monkeypatch):
    """Seconds instead of minutes."""
    monkeypatch.setattr(thinking, "Config", partial(Config, episodes=16))
    small = {"worked_steps": 2, "mixed_steps": 2, "episodes": 8}
    settings = {name: one._replace(start=one.start._replace(**small)) for name, one in thinking.SETTINGS.items()}
    monkeypatch.setattr(thinking, "SETTINGS", settings)


def test_a_run_writes_curves_a_summary_responses_and_a_picture(tiny, tmp_path, monkeypatch):
    names = ["grpo", "thinking forbidden", "adding not learnt"]
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


def test_the_control_differs_by_the_grammar_alone():
    free, forbidden = thinking.SETTINGS["reinforce-group"], thinking.SETTINGS["thinking forbidden"]
    assert forbidden == free._replace(grammar=True)
    one, other = (x.start.envs(1, grammar=x.grammar).mdp for x in (free, forbidden))
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
