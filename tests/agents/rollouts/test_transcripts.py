"""Saved episodes: complete, readable by others, and scored again with the same figures."""

import json

import numpy as np
import pytest
from toys import Counting

from textmdp.agents.cli.main import main
from textmdp.agents.rollouts.rollout import make_envs, rollout
from textmdp.agents.rollouts.scripted import CarelessExpertAgent, ExpertAgent, RandomAgent
from textmdp.agents.rollouts.transcripts import (
    TranscriptError,
    completions,
    read_transcripts,
    records,
    score_again,
    write_transcripts,
)
from textmdp.envs import TASKS, register_task

OPTIONS = [
    ("TextMath-v0", {"difficulty": "brackets"}),
    ("TextGuess-v0", {}),
    ("TextPoem-v0", {"difficulty": "theme", "max_response_tokens": 12}),
    ("TextCode-v0", {}),
    ("TextMath-v0", {"rewards": "correct - 0.5 * length_limit(limit=2)"}),
    ("Noisy-v0", {}),
]


@pytest.fixture(autouse=True)
def noisy():
    """A task whose replies have noise."""
    register_task("Noisy", f"{Counting.__module__}:{Counting.__name__}")
    yield
    TASKS.pop("Noisy", None)


def saved(path, env_id, options, agent, count=6):
    envs = make_envs(env_id, count, **options)
    batch = rollout(agent, envs, seed=3)
    assert write_transcripts(path, records(batch, envs.mdp.tokenizer, env_id, options, "someone")) == count
    envs.close()
    return batch


@pytest.mark.parametrize(("env_id", "options"), OPTIONS, ids=str)
@pytest.mark.parametrize("agent", [ExpertAgent(), RandomAgent(seed=1)], ids=["expert", "random"])
def test_scores_are_the_same_again(tmp_path, env_id, options, agent):
    batch = saved(tmp_path / "new" / "episodes.jsonl", env_id, options, agent)
    episodes = read_transcripts(tmp_path / "new" / "episodes.jsonl")
    again = score_again(episodes)
    for record, episode, scores in zip(episodes, batch.episodes, again, strict=True):
        assert tuple(scores) == episode.scores
        assert record["return"] == sum(score["total"] for score in record["scores"])
        assert sum(record["rewards"]) == pytest.approx(record["return"])
        assert len(record["tokens"]) == len(record["roles"]) == len(record["turns"])


def test_another_reward_for_the_same_episodes(tmp_path):
    path = tmp_path / "episodes.jsonl"
    batch = saved(path, "TextGuess-v0", {}, CarelessExpertAgent(0.5, seed=0), 16)
    again = score_again(read_transcripts(path), rewards="found - 0.1 * guesses")
    for episode, scores in zip(batch.episodes, again, strict=True):
        for old, new in zip(episode.scores, scores, strict=True):
            assert new.total == pytest.approx(old.parts["found"] - 0.1 * old.parts["guesses"])


def test_completions_are_turns(tmp_path):
    path = tmp_path / "episodes.jsonl"
    batch = saved(path, "TextGuess-v0", {}, ExpertAgent())
    rows = [*completions(read_transcripts(path))]
    assert len(rows) == sum(len(episode.scores) for episode in batch.episodes)
    assert sum(row["reward"] for row in rows) == batch.returns.sum()
    first = batch.episodes[0].messages
    assert rows[0] == {"prompt": first[0], "completion": first[1], "reward": batch.episodes[0].scores[0].total}
    if len(first) > 3:
        assert rows[1]["prompt"] == "".join(first[:3])


def test_hugging_face_datasets_open_the_file(tmp_path):
    datasets = pytest.importorskip("datasets")
    path = tmp_path / "episodes.jsonl"
    batch = saved(path, "TextGuess-v0", {}, ExpertAgent())
    rows = datasets.load_dataset("json", data_files=str(path), cache_dir=str(tmp_path / "cache"))["train"]
    assert rows["return"][:] == batch.returns.tolist()
    assert [message["text"] for message in rows[0]["messages"]][:2] == [*batch.episodes[0].messages[:2]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "TextGuess-v0"', "line 2: no JSON object"),
        ("[]", "line 2: an episode needs 'id', 'arguments'"),
        ('{"id": "TextGuess-v0"}', "line 2: an episode needs 'arguments', 'problem'"),
        ("\xff", "line 2: no JSON object"),
    ],
)
def test_a_damaged_line_is_an_error_with_its_number(tmp_path, line, message):
    path = tmp_path / "episodes.jsonl"
    saved(path, "TextGuess-v0", {}, ExpertAgent(), 1)
    path.write_bytes(path.read_bytes() + line.encode("latin-1") + b"\n")
    with pytest.raises(TranscriptError, match=message):
        read_transcripts(path)


def test_what_can_t_be_scored_is_an_error(tmp_path):
    path = tmp_path / "episodes.jsonl"
    saved(path, "TextMath-v0", {}, ExpertAgent(), 1)
    (record,) = read_transcripts(path)
    with pytest.raises(TranscriptError, match=r"line 1: turn 0 answers .*, and the task now writes"):
        score_again([record], difficulty="brackets")
    with pytest.raises(TranscriptError, match="there is no environment 'TextChess-v0'"):
        score_again([{**record, "id": "TextChess-v0"}])
    path.write_text("\n")
    with pytest.raises(TranscriptError, match="holds no episode"):
        read_transcripts(path)
    envs = make_envs("TextMath-v0", 1)
    batch = rollout(ExpertAgent(), envs, seed=0)
    with pytest.raises(TypeError, match="name functions by path"):
        write_transcripts(path, records(batch, envs.mdp.tokenizer, "TextMath-v0", {"rewards": np.mean}))


def test_the_command_line(tmp_path, capsys):
    path, rows = tmp_path / "episodes.jsonl", tmp_path / "new" / "rows.jsonl"
    words = ["rollout", "TextPoem-v0", "--agent", "expert", "--episodes", "4", "--save", str(path)]
    assert main(words) == 0
    assert main(["score", str(path)]) == 0
    out = capsys.readouterr().out
    assert "the scores of 4 are as they were" in out
    assert main(["score", str(path), "--set", "rewards=lines - gold", "--rows", str(rows)]) == 0
    out = capsys.readouterr().out
    assert "the scores of 0 are as they were" in out
    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    assert len(lines) == 4
    assert all(row["reward"] < 0.2 for row in lines)
    assert main(["score", str(tmp_path / "absent.jsonl")]) == 2
