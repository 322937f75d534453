"""The benchmark of levels: a tiny run, and a table whose figures are known."""

import csv
import json
import sys
from functools import partial

from textmdp.agents.algorithms.config import Config
from textmdp.benchmarks import levels
from textmdp.envs.tasks.text_math.arithmetic import LEVELS
from textmdp.envs.tasks.text_math.steps import way_names


def test_every_level_has_a_way():
    for level, way in levels.WAYS.items():
        assert way in way_names(LEVELS[level].example)
    assert {*LEVELS} - {*levels.WAYS} == {"modular-5", "modular-6"}, "those are the benchmark of thinking"


def test_a_run_writes_rows_and_a_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(levels, "DEMONSTRATIONS", {"none": 8, "steps": 8})
    monkeypatch.setattr(levels, "Config", partial(Config, episodes=16))
    options = ["--seeds", "0", "1", "--updates", "1", "--imitation-steps", "2", "--episodes", "8", "--jobs", "1"]
    monkeypatch.setattr(sys, "argv", ["levels", *options, "--levels", "entry", "two-digit", "--out", str(tmp_path)])
    levels.main()
    with open(tmp_path / "levels.csv") as file:
        rows = list(csv.DictReader(file))
    assert [(row["level"], row["thinking"], row["seed"]) for row in rows] == [
        (level, thinking, seed) for level in ("entry", "two-digit") for thinking in ("none", "steps") for seed in "01"
    ]
    assert all(row["updates"] == "1" and 0 <= float(row["end"]) <= 1 for row in rows)
    written = json.loads((tmp_path / "levels.json").read_text())
    assert [line["seeds"] for line in written["levels"]] == [2] * 4
    assert "| `two-digit` | `steps` |" in capsys.readouterr()[0]


def test_the_policy_gradient_stops_in_time(monkeypatch):
    monkeypatch.setattr(levels, "DEMONSTRATIONS", {"none": 8, "steps": 8})
    monkeypatch.setattr(levels, "Config", partial(Config, episodes=16))
    (row,) = levels.measure(levels.Run("entry", "steps", 0, 1, 1000, 20, 8, bar=1.0, minutes=0.0))
    assert row["updates"] == 0


def test_the_policy_gradient_stops_at_the_bar(monkeypatch):
    monkeypatch.setattr(levels, "DEMONSTRATIONS", {"none": 8, "steps": 8})
    monkeypatch.setattr(levels, "Config", partial(Config, episodes=16))
    (row,) = levels.measure(levels.Run("entry", "steps", 0, 1, 1000, 20, 8, bar=0.0, minutes=9.0))
    assert row["updates"] == 0


def test_the_table_is_of_means_and_intervals():
    rows = [
        {"level": "products", "thinking": "steps", "seed": seed, "warm_start": 0.5, "end": end, "seconds": 120.0}
        | {"silent_groups": 0.25}
        for seed, end in enumerate((0.9, 1.0))
    ]
    (line,) = levels.summary(rows)
    assert line["end"] == [0.95, 0.9, 1.0]
    assert "| `products` | `steps` | 50.0 [50.0, 50.0] | 95.0 [90.0, 100.0] | 2.0 |" in levels.table([line])
