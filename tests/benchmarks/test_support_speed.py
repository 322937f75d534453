"""The benchmark of TextSupport's speed runs and counts; its figures are for quiet machines."""

import json

from textmdp.benchmarks import support_speed


def test_it_measures_turns_and_tokens(tmp_path, capsys):
    support_speed.main(["--dialogues", "3", "--rows", "2", "--steps", "40", "--rounds", "1", "--out", str(tmp_path)])
    written = json.loads((tmp_path / "support_speed.json").read_text())
    assert set(written["microseconds"]) == {"customer", "call", "fresh_words", "scenario"}
    assert all(low <= middle <= high for low, middle, high in written["microseconds"].values())
    assert written["tokens_per_second"]["all"] > written["tokens_per_second"]["policy"] > 0
    assert "microseconds" in capsys.readouterr().out
