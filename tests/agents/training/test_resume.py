"""A resumed training run has the metrics and weights of an uninterrupted one."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest
from safetensors.numpy import load_file

from textmdp.agents.cli.main import main

TINY = [
    *("--layers", "1", "--width", "16", "--heads", "2", "--episodes", "16", "--group-size", "4"),
    *("--imitation-steps", "4", "--imitation-episodes", "16", "--imitation-check-every", "2"),
    *("--evaluate-every", "2", "--evaluate-episodes", "8", "--final-episodes", "8", "--checkpoint-every", "3"),
    *("--algorithm", "ppo", "--kl-coef", "0.05", "--seed", "1"),
]


def command(folder, updates, *more):
    return ["train", "TextGuess-v0", "--out", str(folder), "--updates", str(updates), *TINY, *more]


def metrics(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if "seconds" not in name} for row in rows]


def refused(capsys, *words):
    assert main([*words]) == 2
    error = capsys.readouterr()[1]
    assert re.fullmatch(r"error: [^\n]+\n", error), error
    return error


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run of eight updates."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert main(command(folder, 8)) == 0
    return folder


def test_a_killed_run_goes_on_bit_for_bit(whole, tmp_path, capsys):
    folder = tmp_path / "killed"
    main_of = "import sys; from textmdp.agents.cli.main import main; sys.exit(main())"
    words = [sys.executable, "-c", main_of, *command(folder, 8)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    log, deadline = folder / "metrics.jsonl", time.monotonic() + 120
    while not (log.exists() and '"update": 4' in log.read_text()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)  # nothing can be put in order
    process.communicate(timeout=60)
    assert main(command(folder, 8, "--resume")) == 0
    assert "resuming after update" in capsys.readouterr()[0]
    assert metrics(folder) == metrics(whole)
    ours, theirs = (load_file(place / "model" / "model.safetensors") for place in (folder, whole))
    assert all((ours[name] == theirs[name]).all() for name in theirs)
    for name in ("results.json", "findings.jsonl"):
        assert (folder / name).read_text() == (whole / name).read_text()


def test_a_run_may_go_on_for_longer(whole, tmp_path, capsys):
    folder = tmp_path / "shorter"
    assert main(command(folder, 5)) == 0
    assert main(command(folder, 8, "--resume")) == 0
    assert metrics(folder) == metrics(whole)
    assert "more than --updates 3" in refused(capsys, *command(folder, 3, "--resume"))


def test_findings_are_neither_lost_nor_repeated(tmp_path, capsys):
    cut = ("--set", "context_length=8")  # which ends most episodes early, from the first update to the last
    for folder, stops in ((tmp_path / "once", [5]), (tmp_path / "twice", [3, 5])):
        for updates in stops:
            assert main(command(folder, updates, *cut, "--resume")) == 0
    once, twice = ((tmp_path / name / "findings.jsonl").read_text() for name in ("once", "twice"))
    assert once == twice
    first = json.loads(once.splitlines()[0])
    assert (first["update"], first["name"]) == (1, "truncated")
    assert once.count('"truncated"') == 1
    output = capsys.readouterr()[0].replace("\n", " ")
    assert output.count("episodes were truncated") == 2  # once in each run
    assert first["message"] in (tmp_path / "twice" / "report.html").read_text()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.is_gradient_checkpointing:FutureWarning")
def test_adapters_go_on_too(tmp_path):
    pytest.importorskip("peft")
    for folder, stops in ((tmp_path / "once", [4]), (tmp_path / "twice", [3, 4])):
        for updates in stops:
            assert main(command(folder, updates, "--lora-rank", "2", "--resume")) == 0
    assert metrics(tmp_path / "once") == metrics(tmp_path / "twice")
    ours, theirs = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("once", "twice"))
    assert all((ours[name] == theirs[name]).all() for name in theirs)


def test_what_was_not_begun_begins(tmp_path, capsys):
    folder = tmp_path / "new"
    assert main(command(folder, 1, "--resume")) == 0
    assert [row["update"] for row in metrics(folder) if "update" in row] == [1]


def test_other_settings_are_no_resumption(whole, capsys):
    before = (whole / "metrics.jsonl").read_bytes()
    error = refused(capsys, *command(whole, 8, "--resume", "--gamma", "0.9"))
    assert "begun with gamma=1.0, and this one has 0.9" in error
    assert "set={}" in refused(capsys, *command(whole, 8, "--resume", "--set", "high=7"))
    assert (whole / "metrics.jsonl").read_bytes() == before
    words = ["train", "TextGuess-v0", "--resume", *TINY]
    assert "name its folder" in refused(capsys, *words)


def test_the_table_of_algorithms_is_printed(capsys):
    from textmdp.agents.algorithms.objectives import OBJECTIVES

    assert main(["algorithms"]) == 0
    out = capsys.readouterr()[0]
    assert all(re.search(rf"^{name}( \*)?  ", out, re.MULTILINE) for name in OBJECTIVES)


def test_a_run_with_a_curriculum_resumes(tmp_path, capsys):
    """Its stage is in the metrics; `test_curriculum.py` has runs that change it."""
    arguments = ["--set", "difficulty=entry,one-digit", "shared=true", "max_response_tokens=4"]
    words = ["train", "TextMath-v0", *TINY, "--curriculum-stages", "entry/one-digit"]
    for folder, updates in (("whole", (6,)), ("parts", (4, 6))):
        for count in updates:
            again = ["--resume"] if count != updates[0] else []
            assert main([*words, "--out", str(tmp_path / folder), "--updates", str(count), *arguments, *again]) == 0
    rows = [row for row in metrics(tmp_path / "whole") if "update" in row]
    assert all(row["curriculum_stage"] == 0 for row in rows)
    assert [row for row in metrics(tmp_path / "parts") if "update" in row] == rows
    capsys.readouterr()
    assert "shared=True" in refused(capsys, *words, "--out", str(tmp_path / "other"))
