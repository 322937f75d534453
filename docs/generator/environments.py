"""A page for each registered task: its class docstring, its spaces and budgets, measured returns, two transcripts."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import gymnasium as gym
import numpy as np

import textmdp.envs
from generator.docstrings import page_text
from textmdp.agents.cli.envs import difficulties
from textmdp.agents.rollouts.rollout import Agent, make_envs, rollout
from textmdp.agents.rollouts.scripted import ExpertAgent, RandomAgent
from textmdp.envs.core.episode import Episode
from textmdp.envs.core.task import Task
from textmdp.envs.views.rendering import ledger, visible

#: Episodes behind each mean return, and their seed.
EPISODES, SEED = 256, 0


def pages() -> dict[str, str]:
    """The pages of the folder `environments` by file name, without the suffix."""
    found = {file_name(name): page(name) for name in textmdp.envs.TASKS}
    return {"index": index(), **found}


def index() -> str:
    """The table of environments."""
    lines = [
        "# Environments",
        "",
        "Each task has two ids: `NAME-v0`, in which an action is a token, and `NAMEResponse-v0`, in which an action is",
        "a whole response. `gym.make_vec` of the first gives the native vector environment.",
        "",
        table(""),
        "",
        "```{toctree}",
        ":hidden:",
        "",
        *map(file_name, textmdp.envs.TASKS),
        "```",
    ]
    return "\n".join(lines) + "\n"


def table(folder: str) -> str:
    """The environments as a table, with links to their pages in `folder`."""
    rows = ["| ids | task | turns | response budget |", "|---|---|---|---|"]
    for name, path in textmdp.envs.TASKS.items():
        task: Any = gym.make(f"{name}-v0").unwrapped.mdp.task  # type: ignore[attr-defined]
        budget = f"{task.max_response_tokens} tokens"
        ids = f"[`{name}-v0`]({folder}{file_name(name)}.md), `{name}Response-v0`"
        rows.append(f"| {ids} | {summary(task_class(path))} | {task.max_turns} | {budget} |")
    return "\n".join(rows)


def page(name: str) -> str:
    """The page of one task."""
    task = task_class(textmdp.envs.TASKS[name])
    doc = page_text(inspect.cleandoc(task.__doc__ or ""))
    return "\n".join(
        [
            f"# {name}",
            "",
            doc,
            "",
            "## Spaces",
            "Of the default arguments:",
            "",
            spaces(name),
            "",
            "Arguments of every view (`tokenizer`, `max_response_tokens`, `context_length`, `reward`,",
            "`shaping_discount`) are documented with [`TokenEnv`](../api/envs.md),",
            "`rewards` with [rewards](../rewards.md).",
            "",
            "## Returns",
            f"Mean return of {EPISODES} episodes with seed {SEED}, for an agent that draws each legal token with the",
            "same probability and for the expert (`Task.demonstrate`); budgets and contexts are in tokens of the",
            "default tokenizer.",
            "",
            returns(name, task),
            "",
            "## Transcripts",
            "",
            transcripts(name),
            "",
        ]
    )


def spaces(name: str) -> str:
    """The spaces of both ids, as a table."""
    rows = ["| id | action space | observation space |", "|---|---|---|"]
    for env_id in (f"{name}-v0", f"{name}Response-v0"):
        env = gym.make(env_id)
        rows.append(f"| `{env_id}` | `{env.action_space}` | `{env.observation_space}` |")
        env.close()
    return "\n".join(rows)


def returns(name: str, task: type[Task[Any]]) -> str:
    """Budgets and mean returns at each difficulty, as a table."""
    levels = [level.removesuffix(" (default)") for level in difficulties(task)]
    rows = [
        "| difficulty | turns | budget | context | vocabulary | random | expert |",
        "|---|---|---|---|---|---|---|",
    ]
    for level in levels or [None]:
        options = {} if level is None else {"difficulty": level}
        envs = make_envs(f"{name}-v0", EPISODES, **options)
        mdp = envs.mdp
        figures = [mdp.task.max_turns, mdp.max_response_tokens, mdp.context_length, mdp.tokenizer.vocab_size]
        means = [_mean_return(agent, envs) for agent in (RandomAgent(SEED), ExpertAgent())]
        rows.append(f"| {f'`{level}`' if level else '–'} | {' | '.join(map(str, figures))} | {' | '.join(means)} |")
        envs.close()
    return "\n".join(rows)


def transcripts(name: str) -> str:
    """One episode of the expert and one of the random agent."""
    parts = []
    for title, agent in (("The expert", ExpertAgent()), ("A random agent", RandomAgent(SEED))):
        envs = make_envs(f"{name}-v0", 1)
        batch = rollout(agent, envs, seed=SEED)
        envs.close()
        parts += [f"{title}, seed {SEED}:", "", "```text", dialogue(batch.episodes[0]), "```", ""]
    return "\n".join(parts)


def dialogue(episode: Episode[Any]) -> str:
    """An episode as text, a paragraph a message, the ledger of a turn behind its response."""
    lines = []
    for number, message in enumerate(episode.messages):
        by_policy = number % 2 == 1
        if message or by_policy:
            lines.append(_labelled("policy" if by_policy else "environment", message))
        if by_policy:
            lines.append(_labelled("", ledger(episode.scores[number // 2])))
    return "\n".join(lines)


def summary(task: type[Task[Any]]) -> str:
    """The first line of a task's docstring."""
    return inspect.cleandoc(task.__doc__ or "").partition("\n\n")[0].replace("\n", " ")


def task_class(path: str) -> type[Task[Any]]:
    """The class at "module:Class"."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def file_name(name: str) -> str:
    """`text_math` of `TextMath`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _mean_return(agent: Agent, envs: Any) -> str:
    return f"{np.mean(rollout(agent, envs, seed=SEED).returns):.3f}"


def _labelled(label: str, text: str) -> str:
    first, *others = visible(text).split("\n")
    return "\n".join([f"{label:12} {first}".rstrip(), *(f"{'':12} {line}".rstrip() for line in others)])
