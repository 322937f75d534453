"""The trial of estimators: a small run, and facts that any run must show."""

import csv
import json
import sys

import numpy as np
import pytest

from textmdp.agents.credit.cases import Case
from textmdp.agents.credit.contenders import CONTENDERS
from textmdp.agents.credit.tree_growth import grow_tree
from textmdp.benchmarks import credit
from textmdp.envs.core.mdp import TextMDP
from textmdp.envs.tasks.diagnostics import TextDelay, TextDistractor, TextUmbrella


def test_a_run_writes_rows_a_summary_and_pictures(tmp_path, monkeypatch):
    options = ["--seeds", "0", "--updates", "3", "--batches", "2", "--jobs", "1"]
    monkeypatch.setattr(sys, "argv", ["credit", *options, "--out", str(tmp_path)])
    monkeypatch.setattr(credit, "SWEEPS", {TextUmbrella: (1, 4), TextDistractor: (2.0,)})
    monkeypatch.setattr(credit, "OBJECTIVES", ["rloo"])  # an audit of each takes seconds
    credit.main()
    with open(tmp_path / "credit.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * len(CONTENDERS)
    assert all(0 <= float(row["score_tokens"]) <= 1 for row in rows)
    written = json.loads((tmp_path / "credit.json").read_text())
    assert [line["estimator"] for line in written["summary"]] == [*CONTENDERS]
    assert written["verdicts"] == {"rloo": "unbiased. It discounts by tokens."}
    assert written["command"].startswith("python -m textmdp.benchmarks.credit --seeds 0")
    for name in ("credit_radar.png", "credit_sweeps.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def cosine(task, name):
    return credit.accuracy(Case(task), CONTENDERS[name], 60, np.random.default_rng(0))["cosine_episodes"]


def test_noise_costs_whoever_takes_it_for_merit():
    noisy = TextDistractor(noise=8.0)
    assert cosine(noisy, "exact") > 0.9 > 0.6 > cosine(noisy, "rloo")


def test_a_discount_by_tokens_loses_a_late_reward():
    """The gradient keeps its direction here, and loses its size: γ^63 = 0.001."""
    learn = {
        name: credit.learning(
            grow_tree(TextMDP(TextDelay(delay=64))), CONTENDERS[name], 60, 10, np.random.default_rng(0)
        )
        for name in ("rloo", "rloo γ=0.9", "rloo γ=0.9 a turn")
    }
    assert learn["rloo γ=0.9"]["final"] < learn["rloo"]["final"]
    assert learn["rloo γ=0.9 a turn"]["final"] == pytest.approx(learn["rloo"]["final"], abs=0.05)
