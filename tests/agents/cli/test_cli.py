import io
import json
import math
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from textmdp.agents.cli.envs import difficulties
from textmdp.agents.cli.flags import field_docs
from textmdp.agents.cli.main import COMMANDS, main
from textmdp.agents.cli.options import UserError, settings, token_id
from textmdp.agents.cli.play import read_tokens
from textmdp.envs import ByteTokenizer, LexiconTokenizer
from textmdp.envs.tasks.text_math import TextMath

TEXTMDP = (sys.executable, "-c", "import sys; from textmdp.agents.cli.main import main; sys.exit(main())")
TINY = [
    *("--layers", "1", "--width", "16", "--heads", "2", "--episodes", "16", "--group-size", "4"),
    *("--imitation-steps", "4", "--imitation-episodes", "16", "--imitation-check-every", "2"),
    *("--evaluate-every", "2", "--evaluate-episodes", "8", "--final-episodes", "8"),
    *("--set", "difficulty=one-digit"),
]


def run(capsys, *words):
    """Exit code, stdout and stderr of a command line in this process."""
    code = main([*words])
    return code, *capsys.readouterr()


def refused(capsys, *words):
    """The one line with which a command line is refused."""
    code, out, error = run(capsys, *words)
    assert code == 2
    assert "Traceback" not in out + error
    assert re.fullmatch(r"error: [^\n]+\n", error), error
    return error


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert main(["train", "TextMath-v0", "--out", str(folder), "--updates", "4", "--seed", "1", *TINY]) == 0
    return folder


# Looking


def test_envs_lists_every_id_with_its_arguments(capsys):
    code, out, _ = run(capsys, "envs")
    assert code == 0
    for word in ("TextMath-v0", "TextMathResponse-v0", "TextGuess-v0", "two-digit (default)", "max_response_tokens"):
        assert word in out


@pytest.mark.parametrize("name", ["TextGuess-v0", "TextGuessResponse-v0", "TextGuess", "textmdp.envs:TextGuess-v0"])
def test_envs_prints_a_page(capsys, name):
    code, out, _ = run(capsys, "envs", name)
    assert code == 0
    assert out.startswith("# TextGuess\n")
    assert "## Rewards" in out


def test_difficulties_are_read_from_the_page():
    assert difficulties(TextMath)[:4] == ["entry", "one-digit", "two-digit (default)", "three-digit"]


def test_check_ticks_every_check(capsys):
    code, out, _ = run(capsys, "check", "TextGuess-v0", "--set", "difficulty=tiny")
    assert code == 0
    assert out.count("✓") == int(re.search(r"(\d+) of \1 checks passed", out)[1])


def test_a_failed_check_names_itself_and_exits_with_1(capsys, tmp_path, monkeypatch):
    (tmp_path / "broken_tasks.py").write_text(
        "from textmdp.envs import Reply, Score, Task, register_task\n"
        "class Broken(Task[int]):\n"
        "    num_problems = 3\n"
        "    def problem(self, index): return index, 'say x'\n"
        "    def reply(self, state, response, rng): return Reply(state, '', Score.of(ok=0.0), True)\n"
        "    def demonstrate(self, state, rng): return 'x'\n"
        "register_task('Broken', 'broken_tasks:Broken')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    try:
        code, out, _ = run(capsys, "check", "broken_tasks:Broken-v0")
    finally:
        from textmdp.envs import TASKS

        TASKS.pop("Broken", None)
    assert code == 1
    assert "✗ expert has full marks" in out


# Rollouts and evaluation


def test_rollout_prints_transcripts_and_writes_traces(capsys, tmp_path):
    path = tmp_path / "new" / "traces.jsonl"
    words = ["rollout", "TextGuess-v0", "--agent", "expert", "--episodes", "3", "--save", str(path)]
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert out.count("reward +1 = found 1 × 1") == 3
    assert "mean return 1" in out
    traces = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(traces) == 3
    for trace in traces:
        assert trace["id"] == "TextGuess-v0"
        assert len(trace["tokens"]) == len(trace["roles"]) == len(trace["rewards"])
        assert set(trace["roles"]) == {1, 2}
        assert sum(trace["rewards"]) == trace["return"] == sum(score["total"] for score in trace["scores"])
        assert trace["messages"][0]["text"] == "1-15? "
    assert run(capsys, *words)[1] == out  # the seed decides


def test_evaluate_prints_a_table_or_json(capsys):
    code, out, _ = run(capsys, "evaluate", "expert", "TextMath-v0", "--episodes", "50")
    assert code == 0
    assert "100.0 % [92.9, 100.0]" in out
    assert "split=test" in out
    code, out, _ = run(capsys, "evaluate", "random", "TextGuess-v0", "--episodes", "40", "--json")
    record = json.loads(out)
    assert (record["episodes"], record["problems"]) == (40, 15)
    code, out, _ = run(capsys, "evaluate", "expert", "TextGuess-v0")
    assert "no more than 15 distinct problems" in out


def test_evaluate_prints_pass_and_majority_at_k(capsys):
    words = ["evaluate", "random", "TextGuess-v0", "--episodes", "15", "--samples", "8", "--k", "4", "1", "8"]
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert re.findall(r"^(pass@\d|maj@\d) +\d+\.\d %", out, re.MULTILINE) == ["pass@1", "pass@4", "pass@8", "maj@8"]
    assert "8 samples a problem" in out
    record = json.loads(run(capsys, *words, "--json")[1])
    assert record["samples"] == 8
    one, four, eight = (record["at_k"][f"pass@{k}"] for k in (1, 4, 8))
    assert 0 <= one[1] < one[0] < four[0] < eight[0] < eight[2] <= 1
    record = json.loads(run(capsys, *words[:5], "--samples", "3", "--json")[1])
    assert [*record["at_k"]] == ["pass@1", "pass@3", "maj@3"]


def test_evaluate_prints_a_row_for_each_difficulty(capsys):
    words = ["evaluate", "expert", "TextMath-v0", "--difficulties", "two-digit", "one-digit", "--episodes", "60"]
    code, out, _ = run(capsys, *words, "--samples", "2")
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert ["difficulty", "problems", "accuracy", "pass@1", "pass@2", "maj@2"] in rows
    assert [row[:3] for row in rows if row[0].endswith("-digit")] == [
        ["two-digit", "60", "100.0"],
        ["one-digit", "40", "100.0"],
    ]
    record = json.loads(run(capsys, *words, "--json")[1])
    assert record["arguments"] == {"split": "test"}
    assert [*record["difficulties"]] == ["two-digit", "one-digit"]
    assert record["difficulties"]["two-digit"]["episodes"] == 60
    assert record["difficulties"]["two-digit"]["at_k"] == {}


# Training


def test_training_leaves_a_whole_run(trained, capsys):
    names = {path.name.partition(".")[0] for path in trained.iterdir()}
    assert names == {"config", "metrics", "findings", "results", "events", "model", "report", "checkpoint"}
    config = json.loads((trained / "config.json").read_text())
    assert config["arguments"] == {"difficulty": "one-digit"}
    assert config["seed"] == 1
    assert config["settings"]["imitation_steps"] == 4
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [row["update"] for row in rows if "update" in row] == [1, 2, 3, 4]
    assert [row["update"] for row in rows if "evaluation/accuracy" in row] == [2, 4]
    assert 0 <= rows[-1]["score/format"] <= 1  # of weight 0
    assert 0 <= rows[-1]["evaluation/score/format"] <= 1
    assert set(json.loads((trained / "results.json").read_text())) == {"untrained", "imitation", "final"}


def test_a_run_can_be_evaluated_and_watched(trained, capsys):
    code, out, _ = run(capsys, "evaluate", str(trained), "--episodes", "8", "--json")
    assert code == 0
    record = json.loads(out)
    assert record["arguments"] == {"difficulty": "one-digit", "split": "test"}
    kept = json.loads((trained / "results.json").read_text())["final"]
    assert record["episodes"] == kept["episodes"] == 8
    assert run(capsys, "evaluate", str(trained), "--episodes", "8", "--sampled")[0] == 0
    code, out, _ = run(
        capsys, "evaluate", str(trained), "--episodes", "4", "--samples", "2", "--difficulties", "one-digit"
    )
    assert code == 0
    assert "one-digit" in out
    code, out, _ = run(capsys, "rollout", "--agent", str(trained), "--episodes", "2")
    assert code == 0
    assert "episode 2" in out


def test_training_repeats_bit_for_bit(trained, tmp_path, capsys):
    again = tmp_path / "again"
    assert main(["train", "TextMath-v0", "--out", str(again), "--updates", "4", "--seed", "1", *TINY]) == 0

    def returns(folder):
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        return [(row["return"], row["grad_norm"]) for row in rows if "update" in row]

    assert returns(again) == returns(trained)


def test_difficulties_that_do_not_fit_a_model_are_left_out_with_the_fix(trained, capsys):
    words = ["evaluate", str(trained), "--episodes", "4", "--difficulties", "one-digit", "words"]
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert re.search(r"^one-digit +4 ", out, re.MULTILINE)
    assert re.search(
        r"^words left out: the model of .* has a vocabulary of \d+ tokens, the environment of", out, re.MULTILINE
    )
    record = json.loads(run(capsys, *words, "--json")[1])
    assert [*record["difficulties"]] == ["one-digit"]
    assert [*record["left_out"]] == ["words"]
    refused(capsys, "evaluate", str(trained), "--episodes", "4", "--difficulties", "words")


def test_nothing_to_resume_is_said(tmp_path, capsys):
    words = ["train", "TextMath-v0", "--out", str(tmp_path / "new"), "--resume", "--updates", "0", *TINY]
    assert "nothing to resume" in run(capsys, *words)[1]
    assert "nothing to resume" not in run(capsys, *words)[1]


def test_a_run_is_not_overwritten_by_default(trained, capsys):
    words = ["train", "TextMath-v0", "--out", str(trained), "--updates", "1", *TINY]
    before = (trained / "config.json").read_bytes()
    assert "not empty: choose another --out, or --overwrite" in refused(capsys, *words)
    assert (trained / "config.json").read_bytes() == before


def test_ctrl_c_leaves_a_model_and_a_report(tmp_path):
    folder = tmp_path / "run"
    words = ["train", "TextGuess-v0", "--out", str(folder), "--updates", "100000", *TINY[:-2]]
    process = subprocess.Popen([*TEXTMDP, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert any(line.startswith("update 2 of") for line in process.stdout), process.stderr.read()
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert re.search(r"stopped after \d+ updates; the model as it is, and a report, are in", out)
    assert "Ended early" in (folder / "report.html").read_text()
    assert main(["evaluate", str(folder), "--episodes", "4"]) == 0


def test_the_demo_ends_with_a_report(trained, tmp_path, capsys):
    out = tmp_path / "demo"
    words = ["demo", "--out", str(out), "--updates", "1", "--imitation-steps", "20", "--set", "difficulty=one-digit"]
    code, printed, _ = run(capsys, *words)
    assert code == 0
    assert "report.html" in printed
    assert printed.index("after imitation") < printed.index("after reinforcement")
    assert json.loads((out / "config.json").read_text())["command"].startswith("textmdp demo --out ")
    assert run(capsys, *words)[0] == 0  # a second demo takes the place of the first
    assert "not empty" in refused(capsys, "demo", "--out", str(trained))  # and of nothing else


def test_the_demo_of_thinking_shows_the_same_problems_over_time(capsys, monkeypatch):
    monkeypatch.setattr("textmdp.agents.training.thinking.imitate", lambda model, envs, config: None)
    code, printed, _ = run(capsys, "demo", "--thinking", "--updates", "2")
    assert code == 0
    (heads,) = (line.split() for line in printed.splitlines() if line.split()[:2] == ["update", "0"])
    assert heads == ["update", "0", "update", "1", "update", "2"]
    assert printed.count("%10=") == 5  # one in the introduction, and four problems
    assert "leave out --out and --set" in refused(capsys, "demo", "--thinking", "--out", "a")


def test_train_help_has_a_flag_and_its_words_for_every_field(capsys):
    from textmdp.agents.algorithms.config import Config
    from textmdp.agents.training.imitation import ImitationConfig

    with pytest.raises(SystemExit) as end:
        main(["train", "--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    for config, prefix in ((Config, "--"), (ImitationConfig, "--imitation-")):
        for name, doc in field_docs(config).items():
            if name != "seed":
                assert re.search(rf"^  {prefix}{name.replace('_', '-')}[ ,\n]", out, re.MULTILINE)
                assert doc.split()[0] in out


# Playing


def play(capsys, monkeypatch, typed, *words):
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    return run(capsys, "play", *words)


def test_a_person_plays_responses_until_the_input_ends(capsys, monkeypatch):
    code, out, error = play(capsys, monkeypatch, "0\n\nno \\\nidea\n", "TextMath-v0", "--seed", "0")
    assert (code, error) == (0, "")
    assert out.count("reward +0") == 3
    assert "you › no " in out
    assert "the vocabulary has not all of these characters" in out
    assert "  … idea" in out
    assert out.count("an expert: «") == 3
    assert "3 episodes, mean return 0 of 1" in out


def test_a_person_wins(capsys, monkeypatch):
    code, out, _ = play(capsys, monkeypatch, "8\n4\n6\n", "TextGuess-v0", "--problem", "5")
    assert code == 0
    assert [word for word in out.split() if word in ("higher", "lower")] == ["lower", "higher"]
    assert "reward +1 = found 1 × 1   (valid 1, guesses 3)" in out
    assert "1 episode, mean return 1 of 1" in out
    for line in ("Find a secret number", "4 turns of at most 4 tokens", "you (3 of 4) › ", "solved, terminated"):
        assert line in out


def test_nothing_gives_the_answer_away_before_the_end(capsys, monkeypatch):
    _, out, _ = play(capsys, monkeypatch, "1\n2\n3\n4\n", "TextGuess-v0", "--problem", "5")
    before, _, after = out.partition("not solved")
    assert "problem" not in before
    assert "problem 5" in after
    assert "an expert: «8» lower\n? «4» higher\n? «6»" in after


def test_a_person_plays_against_an_agent(capsys, monkeypatch):
    code, out, _ = play(capsys, monkeypatch, "1\n1\n1\n1\n", "TextGuess-v0", "--problem", "5", "--against", "expert")
    assert code == 0
    assert "you 0 : 1 expert, solved of 1" in out


def test_a_response_of_many_lines(capsys, monkeypatch):
    typed = '"""\ndef f(x):\n    return x\n"""\n'
    _, out, _ = play(capsys, monkeypatch, typed, "TextMath-v0", "--set", "tokenizer=bytes", "--problem", "3")
    assert "length 22" in out


def test_a_person_picks_tokens(capsys, monkeypatch):
    typed = "9\n\n#4\nwhat\n<end>\n6\n7\n9\n"
    code, out, _ = play(capsys, monkeypatch, typed, "TextGuess-v0", "--tokens", "--problem", "5")
    assert code == 0
    assert "3:0  4:1  5:2" in out
    assert "no token is called 'what'" in out
    assert "9 is not legal here" in out
    assert out.count("reward +0") == 2


def test_a_person_plays_on_a_terminal_and_leaves_with_ctrl_c():
    here, there = pty.openpty()
    words = [*TEXTMDP, "play", "TextGuess-v0", "--problem", "5"]
    process = subprocess.Popen(words, stdin=there, stdout=there, stderr=there, start_new_session=True)
    os.close(there)
    seen = _read_until(here, " of 4) › ")
    os.write(here, b"8\n")
    seen += _read_until(here, " of 4) › ")
    assert "lower" in seen
    assert "\x1b[" in seen  # in colour
    time.sleep(0.5)  # let readline wait: a signal while it sets itself up is only seen with the next key
    process.send_signal(signal.SIGINT)
    seen += _read_until(here, None)
    assert process.wait(timeout=20) == 130
    assert "Traceback" not in seen
    os.close(here)


def _read_until(terminal, ending):
    """What a terminal shows, until it ends in a text; for None, until it is quiet."""
    seen, deadline = b"", time.monotonic() + 30
    while ending is None or ending.encode() not in seen:
        ready, _, _ = select.select([terminal], [], [], 1.0)
        if ready:
            try:
                seen += os.read(terminal, 4096)
            except OSError:  # nobody writes any more
                break
        elif ending is None:
            break
        assert time.monotonic() < deadline, seen
    return seen.decode()


def test_tokens_are_read_by_text_before_number():
    tokenizer = LexiconTokenizer([*"0123456789", "-", " higher", "\n"])
    assert read_tokens("3", tokenizer) == [6]
    assert read_tokens("#3", tokenizer) == [3]
    assert read_tokens("12", tokenizer) == [4, 5]  # two tokens, and not number 12
    assert read_tokens(" higher", tokenizer) == [14]
    assert read_tokens("\\n", tokenizer) == [15]
    assert read_tokens("", tokenizer) == read_tokens("<end>", tokenizer) == [1]
    for nonsense in ("x", "#99", "#", "#-1", "1x", "#²"):
        assert read_tokens(nonsense, tokenizer) is None
    assert read_tokens("14", LexiconTokenizer("ab" * 1 + "cdefghijklmno")) == [14]
    assert read_tokens("é", ByteTokenizer()) == [byte + 3 for byte in "é".encode()]


# Arguments and errors


def test_settings_are_json_where_they_can_be():
    words = ["a=1", "b=0.5", "c=true", "d=null", "e=two-digit", 'f="7"', "g=", "h=a=b", "i=NaN", "j=None", "k=[1, 2]"]
    assert settings(words) == {
        "a": 1,
        "b": 0.5,
        "c": True,
        "d": None,
        "e": "two-digit",
        "f": "7",
        "g": "",
        "h": "a=b",
        "i": "NaN",
        "j": None,
        "k": [1, 2],
    }
    for wrong in ("TextMath-v0", "=3", "a-b=3"):
        with pytest.raises(UserError, match="no KEY=VALUE"):
            settings([wrong])
    with pytest.raises(UserError, match="twice"):
        settings(["a=1", "a=2"])


def test_ids_are_found_by_any_of_their_names():
    assert {token_id(name) for name in ("TextMath", "TextMath-v0", "TextMathResponse-v0")} == {"TextMath-v0"}
    with pytest.raises(UserError, match=r"did you mean TextMath-v0\?"):
        token_id("TextMaht-v0")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("play TextMath-v0 --set dificulty=3", "unexpected argument 'dificulty'; did you mean 'difficulty'?"),
        ("play TextMath-v0 --set difficulty=hard", "difficulty='hard' is none of 'entry', 'one-digit'"),
        ("play TextMath-v0 --set action=tokens", "leave 'action' out"),
        ("play TextGuess-v0 --problem 99", "in 0..14"),
        *(
            (f"play TextMath-v0 --set {pair}", f"{told} must be {kind}")
            for pair, told, kind in [
                ("max_response_tokens=abc", "max_response_tokens='abc'", "a whole number or None"),
                ("context_length=1.5", "context_length=1.5", "a whole number or None"),
                ("shaping_discount=abc", "shaping_discount='abc'", "a number"),
                ("seed=abc", "seed='abc'", "a whole number"),
                ("seed=true", "seed=True", "a whole number"),
                ("symbolic=5", "symbolic=5", "True or False or None"),
                ("dataset=5", "dataset=5", "text or a path or None"),
            ]
        ),
        ("play Sudoku-v0", "there is no environment 'Sudoku-v0'"),
        ("rollout --agent expert", "needs an environment: textmdp rollout ID --agent expert"),
        ("evaluate random", "needs an environment: textmdp evaluate random ID"),
        ("evaluate expert TextGuess-v0 --split test", "TextGuess has no splits; leave --split out"),
        ("evaluate expert TextMath-v0 --split exam", "split='exam' is none of 'train', 'test', 'all'"),
        ("evaluate expert TextMath-v0 --episodes 0", "0 is too small: it must be at least 1"),
        ("evaluate random TextGuess-v0 --samples 0", "0 is too small: it must be at least 1"),
        ("evaluate random TextGuess-v0 --k 4", "none are drawn: add --samples 4"),
        (
            "evaluate random TextGuess-v0 --samples 4 --k 1 8",
            "--k 8 is more than --samples 4: draw --samples 8 or more",
        ),
        (
            "evaluate expert TextMath-v0 --difficulties two-digit hard",
            "difficulty='hard' is none of 'entry', 'one-digit'",
        ),
        ("evaluate expert TextMath-v0 --difficulties words --set difficulty=words", "leave one out"),
        ("evaluate /no/where", "no agent or run '/no/where': give random, expert, a folder"),
        ("train TextMath-v0 --group-size 7", "group_size=7 must divide episodes=512"),
        ("train TextMath-v0 --updates -1", "updates=-1 must not be negative"),
        ("train TextMath-v0 --learning-rate -1", "learning_rate=-1.0 must not be negative"),
        ("train TextMath-v0 --learning-rate nan", "learning_rate=nan must be a finite number"),
        ("train TextMath-v0 --imitation-learning-rate -1", "imitation's learning_rate=-1.0 must be at least 0"),
        ("train TextMath-v0 --imitation-mistake-rate 2", "imitation's mistake_rate=2.0 must lie in [0, 1]"),
        ("train TextMath-v0 --until 95", "until=95.0 must lie in [0, 1]"),
        ("train TextMath-v0 --model x --dtype half", "dtype='half' is none of"),
        ("train TextMath-v0 --width 130", "width=130 must be a multiple of 8, twice the 4 heads"),
        ("train TextMath-v0 --width 0", "width=0 must be at least 6"),
        ("train TextMath-v0 --layers 0", "layers=0 must be at least 1"),
        ("rollout TextGuess-v0 --agent expert --problem 99999999999999999999", "is too large: it must be at most"),
        ("train TextMath-v0 --updates many", "invalid int value: 'many'; see `textmdp train --help`"),
        ("train no.such.module:Task-v0", "No module named 'no'"),
        ("frobnicate", "there is no command 'frobnicate': there are envs, play,"),
        ("trian TextMath-v0", "there is no command 'trian': did you mean train?"),
        ("envs --al", "unrecognized arguments: --al"),
    ],
)
def test_errors_are_one_line_with_the_fix(capsys, words, message):
    assert message in refused(capsys, *words.split())


def test_a_refused_run_leaves_no_folder(capsys, tmp_path):
    for words in ("--updates -1", "--width 130", "--set max_response_tokens=abc", "--dtype half --model x"):
        refused(capsys, "train", "TextMath-v0", "--out", str(tmp_path / "run"), *words.split())
    assert not [*tmp_path.iterdir()]


def test_without_a_command_the_help_is_printed(capsys):
    code, out, _ = run(capsys)
    assert code == 0
    assert "evaluate" in out


def test_shaping_is_shown_with_each_turn(capsys):
    words = ["rollout", "TextGuess-v0", "--agent", "expert", "--problem", "5", "--episodes", "1"]
    _, plain, _ = run(capsys, *words)
    _, dense, _ = run(capsys, *words, "--set", "reward=dense")
    assert "shaping" not in plain
    shaping = [float(number) for number in re.findall(r"with shaping ([+-][\d.]+)", dense)]
    # Three turns from potential 0 to 0: the first hint leaves 7 of 15 numbers.
    assert len(shaping) == 3
    assert shaping[0] == pytest.approx(1 - math.log(7, 15), abs=1e-5)
    assert sum(shaping) == pytest.approx(0.0, abs=1e-5)


def test_means_of_turns_are_labelled(capsys):
    assert "score: guesses, mean of turns" in run(capsys, "evaluate", "expert", "TextGuess-v0", "--episodes", "4")[1]
    assert "mean of turns" not in run(capsys, "evaluate", "expert", "TextMath-v0", "--episodes", "4")[1]


def test_debugging_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("TEXTMDP_DEBUG", "1")
    with pytest.raises(UserError, match="Sudoku"):
        main(["play", "Sudoku"])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(capsys, command):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"usage: textmdp {command}" in capsys.readouterr().out


# Modules that aren't installed, and modules that aren't loaded

HEAVY = ("torch", "transformers", "matplotlib", "tensorboard")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_heavy(command):
    code = (
        "import sys\n"
        "from textmdp.agents.cli.main import main\n"
        "try:\n"
        f"    main([{command!r}, '--help'])\n"
        "finally:\n"
        f"    sys.stderr.write(repr([name for name in {HEAVY} if name in sys.modules]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "[]")
    assert f"textmdp {command}" in result.stdout


_ABSENT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from textmdp.agents.cli.main import main
sys.exit(main({words!r}))
"""


@pytest.mark.parametrize(
    ("absent", "words", "code"),
    [
        (["rich"], ["envs"], 2),
        (["torch"], ["train", "TextMath-v0"], 2),
        (["torch", "transformers", "tensorboard"], ["evaluate", "expert", "TextGuess-v0"], 0),
        (["rich", "torch", "transformers"], ["--help"], 0),
    ],
)
def test_missing_packages_are_named_with_their_extra(absent, words, code):
    script = _ABSENT.format(absent=absent, words=words)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    if code:
        fix = f'error: this needs {absent[0]}, which is not installed: pip install "textmdp[agents]"\n'
        assert done.stderr == fix


@pytest.mark.parametrize(
    "words",
    [
        ["envs"],
        ["check", "TextGuess-v0"],
        ["rollout", "TextMath-v0", "--agent", "random"],
        ["evaluate", "expert", "TextMath-v0"],
    ],
)
def test_nothing_heavy_is_loaded_without_a_model(words):
    script = (
        f"import sys; from textmdp.agents.cli.main import main; code = main({words!r}); "
        "heavy = {'torch', 'transformers', 'sympy', 'datasets', 'tensorboard', 'pandas'} & sys.modules.keys(); "
        "sys.exit(code or repr(heavy) if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_audit_prints_a_verdict_and_the_figures(capsys):
    code, out, _ = run(capsys, "audit", "rloo")
    assert code == 0
    assert out.startswith("rloo: unbiased. It discounts by tokens.")
    assert "TextUmbrella" in out
    code, out, _ = run(capsys, "audit", "textmdp.agents.credit.known_faults:by_length", "--json")
    assert code == 1
    found = json.loads(out)
    assert found["biased"]
    assert found["faults"][0].startswith("weights tokens by 1/|o|")
    assert "has no function 'rlo'" in refused(capsys, "audit", "textmdp.agents.credit.known_faults:rlo")


def test_output_may_be_cut_short_by_a_pipe():
    words = " ".join(map(_quoted, [*TEXTMDP, "rollout", "TextMath-v0", "--agent", "random", "--episodes", "3000"]))
    done = subprocess.run(["bash", "-c", f"{words} | head -n 1"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stdout.startswith("episode 1")
    assert "Traceback" not in done.stderr


def _quoted(word):
    return "'" + word.replace("'", "'\\''") + "'"


def test_the_console_script_is_installed():
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="textmdp")
    assert script.value == "textmdp.agents.cli.main:main"
    assert Path(sys.executable).with_name("textmdp").exists()
