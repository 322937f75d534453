"""`textmdp credit`: colours on stdout, a page in a file, for scripted agents and the folder of a run."""

import json
import re

import pytest

from textmdp.agents.cli.main import main

FAST = ["--group-size", "4", "--samples", "4", "--problems", "1"]


def data_of(path):
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"))[1])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    words = [
        *("--layers", "1", "--width", "16", "--heads", "2", "--episodes", "16", "--group-size", "4"),
        *("--imitation-steps", "0", "--evaluate-episodes", "8", "--final-episodes", "8", "--updates", "2"),
        *("--algorithm", "ppo", "--grammar", "--gamma", "0.9", "--gae-lambda", "0.5", "--discount-unit", "turns"),
        *("--set", "length=2"),
    ]
    assert main(["train", "TextUmbrella-v0", "--out", str(folder), *words]) == 0
    return folder


def test_a_scripted_agent(capsys, tmp_path):
    out = tmp_path / "new folder" / "credit.html"
    assert main(["credit", "random", "TextUmbrella-v0", "--problem", "1", "--out", str(out), *FAST]) == 0
    shown = capsys.readouterr().out
    assert "problem 1, return" in shown
    assert "rain? " in shown
    assert str(out) in shown
    data = data_of(out)
    assert data["reference"] == "exact"
    assert data["agent"] == "random"
    assert data["settings"]["group_size"] == 4


def test_a_run_lends_its_discount_grammar_and_value_function(capsys, tmp_path, trained):
    out = tmp_path / "credit.html"
    assert main(["credit", str(trained), "--out", str(out), "--samples", "4", "--estimator", "ppo", "vine"]) == 0
    assert "ppo  " in capsys.readouterr().out
    data = data_of(out)
    settings = data["settings"]
    assert (settings["gamma"], settings["gae_lambda"], settings["discount_unit"]) == (0.9, 0.5, "turns")
    assert settings["group_size"] == 4
    assert data["arguments"] == {"length": 2}
    assert data["left_out"] == {}
    for episode in data["episodes"]:
        for i, token in enumerate(episode["tokens"]):
            assert token["values"].keys() == {"exact", "branches", "learnt"}
            assert len(token["alternatives"]) == 2, i  # the grammar leaves two words


def test_reading_the_value_function_leaves_the_run_as_it_is(tmp_path, trained, capsys):
    lines = (trained / "metrics.jsonl").read_text()
    with (trained / "metrics.jsonl").open("a") as file:
        file.write('{"update": 99}\n')  # of a training that goes on
    assert main(["credit", str(trained), "--out", str(tmp_path / "x.html"), *FAST]) == 0
    assert (trained / "metrics.jsonl").read_text() == lines + '{"update": 99}\n'


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["random"], "needs an environment: textmdp credit random ID"),
        (["random", "TextUmbrella-v0", "--estimator", "nonsense", *FAST], "there is no estimator 'nonsense' here"),
        (["random", "TextUmbrella-v0", "--samples", "1"], "must be at least 2"),
        (["random", "TextUmbrella-v0", "--gamma", "2", *FAST], "gamma=2.0 must lie in"),
        (["no/such/run"], "there is no agent or run"),
    ],
)
def test_errors_name_the_fix(capsys, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    assert main(["credit", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
