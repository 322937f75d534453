"""Subjects, policies and comparisons for the environment checker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from textmdp.envs.core.task import Task
from textmdp.envs.registration import make_task
from textmdp.envs.views.response_env import ResponseEnv
from textmdp.envs.views.token_env import TokenEnv
from textmdp.envs.views.vector_env import TokenVectorEnv

#: Every check plays episodes with these seeds.
SEEDS = range(8)

Policy = Callable[[TokenEnv[Any], np.random.Generator], list[int]]


@dataclass(frozen=True)
class Subject:
    """A task under test, and the options of its views."""

    task: Task[Any]
    options: dict[str, Any]

    def token(self) -> TokenEnv[Any]:
        """A new `TokenEnv`."""
        return TokenEnv(self.task, **self.options)

    def response(self) -> ResponseEnv[Any]:
        """A new `ResponseEnv`."""
        return ResponseEnv(self.task, **self.options)

    def vector(self, num_envs: int, **options: Any) -> TokenVectorEnv[Any]:
        """A new `TokenVectorEnv`."""
        return TokenVectorEnv(self.task, num_envs, **self.options, **options)


def subject_of(env: str | Task[Any], kwargs: dict[str, Any]) -> Subject:
    """The subject that the arguments of `check_text_env` name; a `ValueError` if an id is not one of textmdp's."""
    if isinstance(env, Task):
        return Subject(env, kwargs)
    spec = gym.spec(env)
    if "task" not in spec.kwargs:
        raise ValueError(f"{env} is no view of a textmdp task: register it with textmdp.envs.register_task")
    arguments = {**spec.kwargs, **kwargs}
    task, options = make_task(arguments.pop("task"), TokenEnv, arguments)
    return Subject(task, options)


def own_task(task: Task[Any]) -> Task[Any]:
    """The task within others, which compose its reward or its prompt."""
    while isinstance(inner := getattr(task, "task", None), Task):
        task = inner
    return task


def episodes(subject: Subject) -> Iterator[tuple[int, Policy]]:
    """All pairs of a seed and a policy that the subject is checked with.

    A policy maps a `TokenEnv` and a generator to the tokens of its next response.
    """
    for seed in SEEDS:
        for policy in (_expert, _random, _endless, _silent):
            yield seed, policy


def _expert(env: TokenEnv[Any], rng: np.random.Generator) -> list[int]:
    return env.actions_for(env.demonstrate())


def _random(env: TokenEnv[Any], rng: np.random.Generator) -> list[int]:
    """Random tokens that come from a text, since the response view takes nothing else."""
    usable = np.flatnonzero(env.mdp.usable)
    ids = rng.choice(usable, size=int(rng.integers(1, env.mdp.max_response_tokens + 1))).tolist()
    ids = ids[: ids.index(env.mdp.tokenizer.end_id)] if env.mdp.tokenizer.end_id in ids else ids
    ids = env.mdp.tokenizer.encode(env.mdp.tokenizer.decode(ids), errors="replace")
    return [*ids, env.mdp.tokenizer.end_id][: env.mdp.max_response_tokens]


def _endless(env: TokenEnv[Any], rng: np.random.Generator) -> list[int]:
    """A response that reaches the budget."""
    ids = env.mdp.tokenizer.encode(env.demonstrate()) or [int(np.flatnonzero(env.mdp.usable)[0])]
    return (ids * env.mdp.max_response_tokens)[: env.mdp.max_response_tokens]


def _silent(env: TokenEnv[Any], rng: np.random.Generator) -> list[int]:
    return [env.mdp.tokenizer.end_id]


def play_expert(env: ResponseEnv[Any]) -> float:
    """Finish the episode with the expert's responses; returns the return."""
    total, ended = 0.0, False
    while not ended:
        _, reward, terminated, truncated, _ = env.step(env.demonstrate())
        total += reward
        ended = terminated or truncated
    return total


def without_mask(info: dict[str, Any]) -> dict[str, Any]:
    """The info without the action mask, which depends on the view."""
    return {key: value for key, value in info.items() if key != "action_mask"}


def same(a: Any, b: Any) -> bool:
    """True if two results have no `difference`."""
    return not difference(a, b)


def difference(a: Any, b: Any, where: str = "") -> str:
    """The first difference of two results in bits or types, through tuples, dicts and arrays; "" if there is none."""
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return f"{where} has the keys {sorted(a)} and {sorted(b)}"
        return next(filter(None, (difference(a[key], b[key], f"{where}[{key!r}]") for key in a)), "")
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        if len(a) != len(b):
            return f"{where} has the lengths {len(a)} and {len(b)}"
        return next(
            filter(None, (difference(x, y, f"{where}[{i}]") for i, (x, y) in enumerate(zip(a, b, strict=True)))), ""
        )
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if a.dtype != b.dtype or a.shape != b.shape:
            return f"{where} is {a.dtype} {a.shape} and {b.dtype} {b.shape}"
        if a.dtype == object:
            return difference(a.ravel().tolist(), b.ravel().tolist(), where)
        return "" if np.array_equal(a, b) else f"{where} is {a.tolist()} and {b.tolist()}"
    return "" if bool(a == b) else f"{where} is {a!r} and {b!r}"
