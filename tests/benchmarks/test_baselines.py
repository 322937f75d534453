"""The comparison of baselines: equal tokens, runs that are kept, scores between a random agent and the expert."""

import json
import sys

import numpy as np
import pytest

from textmdp.benchmarks import baselines


def row(agent, value, seed=0, tokens=0, level="TextGuess-v0:tiny"):
    names = {"level": level, "agent": agent, "seed": seed, "tokens": tokens, "seconds": 1.0}
    return {**names, "return": value, "success": value}


def test_scores_are_0_for_random_agents_and_1_for_the_expert():
    rows = [
        row("random", 0.1),
        row("random", 0.3, seed=1),
        row("expert", 1.0),
        row("ppo", 0.6),
        row("ppo", 1.0, seed=1),
    ]
    scores = [row["score"] for row in baselines.normalised(rows)]
    assert np.allclose(scores, [-0.125, 0.125, 1.0, 0.5, 1.0])
    found = baselines.summary(baselines.normalised(rows))["TextGuess-v0:tiny"]
    assert found["ppo"]["final"] == [0.75, 0.5, 1.0]
    assert "| ppo | 0.75 [0.50, 1.00] | 1 |" in baselines.table({"TextGuess-v0:tiny": found})


@pytest.mark.slow
def test_every_agent_gets_the_same_tokens_and_a_killed_comparison_goes_on(tmp_path, monkeypatch, capsys):
    words = ["--levels", "TextGuess-v0:tiny", "--seeds", "0", "--tokens", "3000", "--points", "2", "--episodes", "8"]
    agents = ["imitation", "ppo", "ppo_mask", "dqn", "ppo_lm", "our_grpo"]
    words += ["--agents", *agents, "--jobs", "1", "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["baselines", *words])
    baselines.main()
    first = capsys.readouterr().out
    files = [*(tmp_path / "work").rglob("*.csv")]
    assert len(files) == len(agents) + 2
    figures = json.loads((tmp_path / "out/baselines.json").read_text())
    assert {*figures["levels"]["TextGuess-v0:tiny"]} == {"random", "expert", *agents}
    assert (tmp_path / "out/baselines.png").stat().st_size > 10_000
    lines = (tmp_path / "out/baselines.csv").read_text().splitlines()
    ends = {line.split(",")[1]: int(line.split(",")[3]) for line in lines[1:]}
    assert all(ends[agent] >= 3000 for agent in agents if agent != "imitation")
    assert ends["imitation"] <= 600
    next(path for path in files if path.name.startswith("ppo_mask_")).unlink()
    baselines.main()
    again = capsys.readouterr().out
    assert again.count("return") == 1
    assert "ppo_mask" in again.splitlines()[0]
    tables = [
        [line.rpartition("|")[0].rpartition("|")[0] for line in out.splitlines() if "|" in line]
        for out in (first, again)
    ]
    assert tables[0] == tables[1]
