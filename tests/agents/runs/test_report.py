import dataclasses
import re
from html.parser import HTMLParser

import pytest
from toys import Counting, Echo

from textmdp.agents.evaluation.evaluate import evaluate
from textmdp.agents.evaluation.intervals import wilson_interval
from textmdp.agents.rollouts.scripted import ExpertAgent, NoisyExpertAgent, RandomAgent
from textmdp.agents.runs.charts import Point, learning_curve, time_split
from textmdp.agents.runs.doctor import Finding
from textmdp.agents.runs.report import page, times, write_report
from textmdp.agents.runs.run import Run
from textmdp.envs import LexiconTokenizer, TokenVectorEnv

VOID = {"meta"}


class Checker(HTMLParser):
    """Every element is closed in order, no attribute loads anything, no script."""

    def __init__(self):
        super().__init__()
        self.open, self.texts, self.tags = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            assert name not in ("src", "href", "action", "srcset"), (tag, name, value)
            assert not name.startswith("on"), (tag, name, value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def parse(text):
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == []
    assert "script" not in checker.tags
    assert "url(" not in text
    assert "http" not in text
    return checker


def example(task, agents, seed=0):
    envs = TokenVectorEnv(task, 8, autoreset_mode="Disabled", copy=False)
    return {name: evaluate(agent, envs, episodes=20, seed=seed) for name, agent in agents.items()}


STAGES = {"untrained": RandomAgent(0), "imitation": NoisyExpertAgent(0.4), "final": ExpertAgent()}
CONFIG = {
    "id": "TextMath-v0",
    "arguments": {"difficulty": "two-digit"},
    "seed": 3,
    "settings": {"updates": 30, "algorithm": "reinforce-group"},
    "held_out": True,
    "command": "textmdp train TextMath-v0 --seed 3",
    "began": "2026-01-01T00:00:00",
    "versions": {"python": "3.11"},
    "platform": "Linux",
    "tokenizer": {"vocab_size": 26, "sha256": ""},
}


def metrics(updates=30):
    yield {"imitation/step": 20, "imitation/seconds": 4.0, "imitation/loss": 1.0}
    for update in range(1, updates + 1):
        row = {"update": update, "success": update / 40, "seconds_env": 0.5, "seconds_decoding": 1.0}
        if update % 10 == 0:
            low, high = wilson_interval(update * 5, 200)
            row |= {"evaluation/accuracy": update / 40, "evaluation/low": low, "evaluation/high": high}
        yield row


def test_a_finished_run():
    text = page(CONFIG, [*metrics()], example(Echo(), STAGES))
    shown = " ".join("".join(parse(text).texts).split())
    assert "after imitation" in shown
    assert "of 20 held-out problems solved, before and after 30 updates; 49 s" in shown
    assert "textmdp train TextMath-v0 --seed 3" in shown
    assert "environment 15.0 s" in shown
    assert "prefers-color-scheme: dark" in text
    assert text.count('role="img"') == 2


def test_a_finished_run_without_imitation():
    stages = example(Echo(), {name: agent for name, agent in STAGES.items() if name != "imitation"})
    shown = "".join(parse(page(CONFIG, [*metrics()], stages)).texts)
    assert "Ended early" not in shown
    assert f"{100 * stages['untrained'].accuracy:.1f} % → 100.0 % of 20 held-out problems solved" in shown


def test_a_dialogue_keeps_its_line_breaks_and_roles():
    text = page(CONFIG, [], example(Counting(), STAGES))
    parse(text)
    assert re.search(r'<span class="policy">\d+</span>', text)
    assert '<span class="environment">0\n</span>' in text


@pytest.mark.parametrize("updates", [0, 1, 30])
def test_a_run_that_ended_early(updates):
    text = page(CONFIG, [*metrics(updates)], {})
    assert f"Ended early, after {updates} updates." in "".join(parse(text).texts)


def test_what_a_model_writes_is_no_markup():
    (result,) = example(Echo(), {"final": RandomAgent(0)}).values()
    shown = "<script>alert(1)</script>&amp;\"'<b>\x1b[31m\u202e</main>"
    record = result.transcripts[0]
    record = {**record, "messages": [record["messages"][0], {"role": "policy", "text": shown}]}
    text = page({**CONFIG, "command": "<img>"}, [], {"final": dataclasses.replace(result, transcripts=(record,))})
    shown = "".join(parse(text).texts)
    assert "<script>alert(1)</script>&amp;\"'<b>\\x1b[31m\\x202e</main>" in shown
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "<img>" not in text


def test_tasks_without_splits_have_no_held_out_problems():
    shown = "".join(parse(page({**CONFIG, "held_out": False}, [*metrics()], example(Echo(), STAGES))).texts)
    assert "held-out" not in shown


def test_findings_are_shown_with_their_remedy():
    found = [
        {"update": 4, "name": "clipped", "severity": "warning", "message": "60 % of <b>", "remedy": "fewer epochs"},
        {"update": 9, "name": "not-finite", "severity": "error", "message": "loss is nan", "remedy": "stop & go back"},
    ]
    shown = "|".join(parse(page(CONFIG, [*metrics()], {}, found)).texts)
    assert "Warnings" in shown
    assert "|4|warning: 60 % of <b>|fewer epochs|9|error: loss is nan|stop & go back" in shown
    assert "Warnings" not in page(CONFIG, [*metrics()], {})


def test_times_add_up():
    assert times([*metrics()]) == {"imitation": 4.0, "environment": 15.0, "decoding": 30.0}
    assert times([]) == {}


def test_write_report_reads_the_folder(tmp_path):
    run = Run.create(
        tmp_path,
        env_id="TextMath-v0",
        arguments={},
        settings={"updates": 3},
        held_out=True,
        seed=0,
        tokenizer=LexiconTokenizer("ab"),
    )
    for name, result in example(Echo(), STAGES).items():
        run.save_evaluation(name, result)
    (tmp_path / "metrics.jsonl").write_text('{"update": 1, "success": 0.5, "note": null}\n')
    run.log_finding(1, Finding("clipped", "warning", "all is clipped", "smaller steps"))
    path = write_report(run)
    assert path == tmp_path / "report.html"
    assert "warning: all is clipped" in parse(path.read_text(encoding="utf-8")).texts


# Charts


def coordinates(svg, name):
    points = re.search(rf'class="{name}" points="([^"]*)"', svg)[1]
    return [tuple(map(float, pair.split(","))) for pair in points.split()]


def test_the_curve_is_where_the_numbers_are():
    points = [Point(0, 0.5, 0.4, 0.6), Point(50, 0.75, 0.7, 0.8), Point(100, 1.0, 0.95, 1.0)]
    svg = learning_curve(points, [(1, 0.4), (2, 0.5)], {"start": 0.5})
    line = coordinates(svg, "line")
    assert line[0][0] < line[1][0] < line[2][0]
    assert line[0][1] > line[1][1] > line[2][1]
    assert line[1] == pytest.approx(((line[0][0] + line[2][0]) / 2, (line[0][1] + line[2][1]) / 2), abs=0.1)
    band = coordinates(svg, "band")
    assert len(band) == 6
    assert "start: 50.0 %" in svg
    assert "from 50.0 percent at update 0 to 100.0 percent at update 100" in svg


@pytest.mark.parametrize("last", [1, 2, 7, 300, 12345, 10**6])
def test_ticks_are_few_and_whole(last):
    svg = learning_curve([Point(last, 0.5, 0.4, 0.6)])
    time_steps = re.findall(r'text-anchor="middle">([\d.e+]+)</text>', svg)
    assert 2 <= len(time_steps) <= 8
    assert all(float(tick).is_integer() for tick in time_steps)


def test_charts_of_nothing():
    parse(learning_curve([]))
    assert time_split({}) == ""


def test_the_time_split_fills_the_bar():
    svg = time_split({"environment": 1.0, "decoding": 3.0})
    widths = [float(width) for width in re.findall(r'width="([\d.]+)" height="34"', svg)]
    assert widths[1] / widths[0] == pytest.approx(3, rel=0.05)
    assert "25 %" in svg
