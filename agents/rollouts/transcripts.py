"""Episodes as data: a JSON object each, one a line in a file, which can be read, converted and scored again.

The fields of an episode:

- `id`, `arguments`, `agent`: the environment's id, its arguments, and the name of the agent;
- `problem`, `key`: the problem's number, and the episode's key (hexadecimal), from which the task's randomness follows;
- `messages`: objects with `role` ("environment" or "policy") and `text`;
- `scores`: an object for each turn with `total`, `parts`, `weights`, and `cut`, true where the budget cut the response;
- `return`, `terminated`, `truncated`, `finish_reason`;
- `tokens`, `roles`, `rewards`, `turns`, and `log_probs` where the agent reports them: lists with an entry a token.

`datasets.load_dataset("json", data_files=FILE)` opens such a file, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from textmdp.agents.rollouts.trajectories import Trajectories
from textmdp.envs import TASKS
from textmdp.envs.core.randomness import turn_generator
from textmdp.envs.core.task import Score, Task
from textmdp.envs.registration import make_task
from textmdp.envs.tokenizers import Tokenizer
from textmdp.envs.views.vector_env import TokenVectorEnv

#: Finish reasons of turns that were graded; any other cut the turn off.
GRADED = ("stop", "length")
Record = dict[str, Any]
_FIELDS = ("id", "arguments", "problem", "key", "messages", "scores", "return")


class TranscriptError(ValueError):
    """A line of a file that is no episode, or one that the task did not write."""


def transcript(trajectories: Trajectories, row: int, tokenizer: Tokenizer) -> Record:
    """Return an episode as JSON values: its messages, the score of each turn, and how it ended."""
    episode = trajectories.episodes[row]
    messages = [*episode.messages]
    if messages[-1] == "":
        messages.pop()
    if trajectories.finish_reasons[row] not in GRADED:  # the response that was cut off is no message yet
        cut = trajectories.turns[row] == len(episode.scores)
        messages.append(tokenizer.decode(trajectories.tokens[row][cut].tolist()))
    return {
        "problem": int(trajectories.problems[row]),
        "key": f"{episode.key:016x}",
        "messages": [{"role": ("environment", "policy")[i % 2], "text": text} for i, text in enumerate(messages)],
        "scores": [
            {
                "total": score.total,
                "parts": dict(score.parts),
                "weights": dict(score.weights),
                "cut": bool(trajectories.tokens[row][trajectories.turns[row] == turn][-1] != tokenizer.end_id),
            }
            for turn, score in enumerate(episode.scores)
        ],
        "return": float(trajectories.returns[row]),
        "terminated": bool(trajectories.terminated[row]),
        "truncated": bool(trajectories.truncated[row]),
        "finish_reason": trajectories.finish_reasons[row],
    }


def records(
    trajectories: Trajectories, tokenizer: Tokenizer, env_id: str, arguments: Mapping[str, Any], agent: str = ""
) -> Iterator[Record]:
    """Yield every episode of a batch with all its fields.

    Args:
        trajectories: B episodes.
        tokenizer: the environment's.
        env_id: the environment's id.
        arguments: its arguments; they must be JSON values to be written.
        agent: a name for the agent.
    """
    columns = {name: getattr(trajectories, name) for name in ("tokens", "roles", "rewards", "turns", "log_probs")}
    for row in range(len(trajectories)):
        length = int((trajectories.roles[row] != 0).sum())
        yield {
            "id": env_id,
            "arguments": dict(arguments),
            "agent": agent,
            **transcript(trajectories, row, tokenizer),
            **{name: column[row, :length].tolist() for name, column in columns.items() if column is not None},
        }


def write_transcripts(path: str | PathLike[str], episodes: Iterable[Record]) -> int:
    """Write episodes to a file, one a line; returns their number."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with Path(path).open("w", encoding="utf-8") as file:
        for record in episodes:
            try:
                line = json.dumps(record, ensure_ascii=False)
            except TypeError as error:
                raise TypeError(
                    f"the arguments {record['arguments']} can't be written as JSON ({error}): name functions by path, "
                    "such as rewards='module:function'"
                ) from error
            file.write(line + "\n")
            count += 1
    return count


def read_transcripts(path: str | PathLike[str]) -> list[Record]:
    """Read the episodes of a file.

    Raises:
        TranscriptError: a line is no episode; the message names the file and the line.
    """
    found = []
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            place = f"{path}, line {number}"
            try:
                record = json.loads(line)
            except ValueError as error:
                raise TranscriptError(f"{place}: no JSON object ({error}); is the file whole?") from error
            missing = [name for name in _FIELDS if name not in record] if isinstance(record, dict) else [*_FIELDS]
            if missing:
                raise TranscriptError(f"{place}: an episode needs {', '.join(map(repr, missing))}")
            found.append({**record, "place": place})
    if not found:
        raise TranscriptError(f"{path} holds no episode")
    return found


def completions(episodes: Iterable[Record]) -> Iterator[dict[str, Any]]:
    """Yield each graded turn of some episodes as `prompt`, `completion` and `reward`.

    The prompt is the transcript before the response; the reward is the turn's score.
    """
    for record in episodes:
        texts = [message["text"] for message in record["messages"]]
        for turn, score in enumerate(record["scores"]):
            yield {
                "prompt": "".join(texts[: 2 * turn + 1]),
                "completion": texts[2 * turn + 1],
                "reward": score["total"],
            }


def score_again(episodes: Sequence[Record], **arguments: Any) -> list[list[Score]]:
    """Score the responses of episodes again, with other arguments of their environments: a list of scores for each.

    With the same arguments the scores are the same, randomness of the task included.

    Args:
        episodes: of `read_transcripts`.
        arguments: take the place of those that the episodes were collected with, such as `rewards`.

    Raises:
        TranscriptError: the task with these arguments writes other messages than those of an episode, or the episode's
            id is not registered.
    """
    tasks: dict[str, Task[Any]] = {}
    found = []
    for record in episodes:
        options = {**record["arguments"], **arguments}
        task = tasks.setdefault(repr((record["id"], options)), _task(record, options))
        found.append(_score_again(record, task))
    for task in tasks.values():
        task.close()
    return found


def _task(record: Record, options: dict[str, Any]) -> Task[Any]:
    name = record["id"].removesuffix("-v0").removesuffix("Response")
    if name not in TASKS:
        raise TranscriptError(f"{record['place']}: there is no environment {record['id']!r}; import its module first")
    return make_task(TASKS[name], TokenVectorEnv, options)[0]


def _score_again(record: Record, task: Task[Any]) -> list[Score]:
    texts = [message["text"] for message in record["messages"]]
    state, expected = task.problem(record["problem"])
    scores = []
    for turn, old in enumerate(record["scores"]):
        if texts[2 * turn] != expected:
            raise TranscriptError(
                f"{record['place']}: turn {turn} answers {texts[2 * turn]!r}, and the task now writes {expected!r}; "
                "only arguments that leave its messages as they were can change"
            )
        response = texts[2 * turn + 1]
        reply = task.reply(state, response, turn_generator(int(record["key"], 16), turn))
        if old.get("cut"):
            reply = task.reply_to_cut(state, response, reply)
        scores.append(reply.score)
        state, expected = reply.state, reply.text
    return scores
