"""The benchmark of reward hacking: a tiny run, and a summary whose figures are known."""

import csv
import json
import sys
from functools import partial

import pytest

from textmdp.agents.algorithms.config import ImitationConfig
from textmdp.agents.models.language_model import LanguageModel
from textmdp.benchmarks import reward_hacking

pytest.importorskip("pronouncing", reason="the gold score needs textmdp[poem]")


@pytest.fixture
def tiny(monkeypatch):
    """Seconds instead of minutes."""
    monkeypatch.setattr(reward_hacking, "ImitationConfig", partial(ImitationConfig, episodes=8))
    monkeypatch.setattr(reward_hacking, "IMITATION_STEPS", 2)
    monkeypatch.setattr(reward_hacking, "EPISODES", 16)
    chosen = {name: reward_hacking.SETTINGS[name] for name in ("proxy", "KL 0.1 in loss", "product", "roomy budget")}
    monkeypatch.setattr(reward_hacking, "SETTINGS", chosen)


def test_a_run_writes_curves_a_summary_poems_and_a_picture(tiny, tmp_path, monkeypatch):
    options = ["--seeds", "0", "1", "--updates", "2", "--every", "1", "--episodes", "8", "--jobs", "1"]
    monkeypatch.setattr(sys, "argv", ["reward_hacking", *options, "--out", str(tmp_path)])
    reward_hacking.main()
    with open(tmp_path / "reward_hacking.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 4 * 3
    for row in rows:
        assert 0 <= float(row["gold"]) <= 1
        assert 0 <= float(row["lines"]) <= 1
        assert (float(row["kl"]) == 0) == (row["update"] == "0"), "a policy that learnt has left its reference"
    starts = {(row["seed"], row["setting"]): row["gold"] for row in rows if row["update"] == "0"}
    assert starts["0", "proxy"] == starts["0", "product"], "settings of a seed and budget share their warm start"
    written = json.loads((tmp_path / "reward_hacking.json").read_text())
    assert [setting["setting"] for setting in written["settings"]] == list(reward_hacking.SETTINGS)
    assert len(written["poems"]["proxy"]["start"]) == len(written["poems"]["proxy"]["end"]) == 4
    assert (tmp_path / "reward_hacking.png").read_bytes().startswith(b"\x89PNG")


def test_the_divergence_of_a_policy_from_itself_is_zero_and_from_another_positive():
    envs = reward_hacking.Setting().envs(64)
    policy, other = (LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length, seed=seed) for seed in (0, 1))
    assert reward_hacking.look(policy, policy, envs)["kl"] == 0
    assert reward_hacking.look(policy, other, envs)["kl"] > 0


def test_the_summary_takes_the_best_gold_of_each_seed():
    curves = {
        0: [(0.5, 0.7, 0.0), (0.8, 0.9, 1.0), (1.0, 0.4, 9.0)],
        1: [(0.5, 0.6, 0.0), (0.9, 0.5, 2.0), (1.0, 0.2, 7.0)],
    }
    rows = [
        {"setting": "proxy", "seed": seed, "update": update, "lines": lines, "gold": gold, "kl": kl}
        for seed, points in curves.items()
        for update, (lines, gold, kl) in enumerate(points)
    ]
    (found,) = reward_hacking.summary(rows)
    assert found["lines_start"] == [0.5, 0.5, 0.5]
    assert found["gold_best"][0] == pytest.approx((0.9 + 0.6) / 2)
    assert found["kl_best"][0] == pytest.approx((1.0 + 0.0) / 2)
    assert found["gold_change"] == [pytest.approx(-0.35), pytest.approx(-0.4), pytest.approx(-0.3)]
