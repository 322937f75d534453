"""Runs on one page: grouped by what differs beside the seed, with their curves and their ends."""

import json
import re

import pytest

from textmdp.agents.cli.main import main
from textmdp.agents.runs.charts import Point, overlaid_curves
from textmdp.agents.runs.comparison import comparison, grouped
from textmdp.agents.runs.run import Run
from textmdp.envs import ByteTokenizer


@pytest.fixture
def folders(tmp_path):
    made = []
    for algorithm, seed in (("ppo", 0), ("ppo", 1), ("grpo <b>", 0)):
        folder = tmp_path / f"{algorithm[:4]}-{seed}"
        run = Run.create(
            folder,
            env_id="TextMath-v0",
            arguments={"difficulty": "one-digit"},
            settings={"algorithm": algorithm, "updates": 4},
            held_out=True,
            seed=seed,
            tokenizer=ByteTokenizer(),
        )
        with (folder / "metrics.jsonl").open("a") as file:
            for update in (2, 4):
                point = {"evaluation/accuracy": update / 10 + seed / 10, "evaluation/low": 0.0, "evaluation/high": 1.0}
                file.write(json.dumps({"update": update, **point}) + "\n")
        run.close()
        made.append(str(folder))
    return made


def test_runs_that_differ_by_seed_are_one_group(folders):
    groups = grouped([Run.open(folder) for folder in folders])
    assert {name: len(runs) for name, runs in groups.items()} == {"algorithm=ppo": 2, "algorithm=grpo <b>": 1}
    assert [*grouped([Run.open(folders[0]), Run.open(folders[1])])] == ["TextMath-v0"]


def test_the_mean_is_over_updates_that_all_runs_share():
    def run(*pairs):
        return [Point(update, accuracy, 0.0, 1.0) for update, accuracy in pairs]

    chart = overlaid_curves({"a": [run((0, 0.0), (2, 0.5)), run((0, 0.5), (1, 0.9), (2, 1.0))]})
    assert "a: 75.0 percent at update 2" in chart
    thick = re.search(r'class="thick run-1" points="([^"]+)"', chart)[1]
    assert len(thick.split()) == 2
    assert chart.count('class="thin run-1"') == 2


def test_the_page_stands_alone(folders, tmp_path, capsys):
    out = tmp_path / "new" / "page.html"
    assert main(["compare", *folders, "--out", str(out)]) == 0
    page = out.read_text(encoding="utf-8")
    assert page.count("<polyline") == 5
    assert "grpo &lt;b&gt;" in page
    assert "<b>" not in page
    assert not re.search(r"<script|https?://|<link|<img", page)
    assert "algorithm=ppo   2 runs" in capsys.readouterr().out


def test_no_runs_are_refused():
    with pytest.raises(ValueError, match="at least one run"):
        comparison([])
    assert main(["compare", "/no/where"]) == 2
