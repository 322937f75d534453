"""The ratios of SB3's speed are measured and written; how large they are is for the machine to say."""

import json
import sys

import pytest

from textmdp.benchmarks import sb3_speed


@pytest.mark.slow
def test_the_ratios_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(sb3_speed, "ROWS", 4)
    monkeypatch.setattr(sys, "argv", ["sb3_speed", "--repeats", "1", "--steps", "8", "--out", str(tmp_path)])
    sb3_speed.main()
    found = json.loads((tmp_path / "sb3_speed.json").read_text())
    assert {*found["TextMath-v0"]} == {"env", "ppo"}
    assert all(found["cache"][name] > 0 for name in ("ratio", "slow_seconds", "fast_seconds"))
