"""The benchmark of learning to support customers, with tiny settings."""

import csv
import json
import sys
from functools import partial

import numpy as np

from textmdp.benchmarks import support_learning


def test_it_writes_curves_a_summary_and_a_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(support_learning, "Config", partial(support_learning.Config, group_size=2))
    monkeypatch.setattr(
        support_learning, "imitation", lambda seed: support_learning.ImitationConfig(steps=1, episodes=4)
    )
    monkeypatch.setattr(support_learning, "SAMPLES", 2)
    monkeypatch.setattr(support_learning, "KS", (1, 2))
    made = support_learning.config_of

    def small(setting, seed, updates):
        return made(setting, seed, updates).__class__(**{**made(setting, seed, updates).__dict__, "episodes": 4})

    monkeypatch.setattr(support_learning, "config_of", small)
    monkeypatch.setattr(
        sys,
        "argv",
        [
            *("support_learning", "--seeds", "0", "--updates", "1", "--every", "1", "--jobs", "1", "--episodes", "4"),
            *("--settings", "no discount", "values at turns", "--out", str(tmp_path)),
        ],
    )
    support_learning.main()
    with open(tmp_path / "support_learning.csv") as file:
        rows = list(csv.DictReader(file))
    assert [(row["setting"], int(row["update"])) for row in rows] == [
        (setting, update) for setting in ("no discount", "values at turns") for update in (0, 1)
    ]
    written = json.loads((tmp_path / "support_learning.json").read_text())
    assert [line["setting"] for line in written["seeds"]] == ["no discount", "values at turns"]
    assert len(written["examples"]) > 0
    assert (tmp_path / "support_learning.png").read_bytes().startswith(b"\x89PNG")
    assert "seed 0" in capsys.readouterr().out


def test_every_setting_is_a_configuration():
    configs = [support_learning.config_of(name, 0, 5) for name in support_learning.SETTINGS]
    assert len(set(configs)) == len(configs)


def test_all_of_k_falls_with_k():
    """With 6 of 8 resolved, all of two are with probability 6/8 · 5/7."""
    successes = np.array([[True] * 6 + [False] * 2])
    assert np.isclose(1 - support_learning.pass_at_k(~successes, 2)[0], 6 / 8 * 5 / 7)
