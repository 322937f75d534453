"""The entry points of the registered ids: views of a task by the name of its class."""

from __future__ import annotations

import difflib
import importlib
import inspect
from typing import Any

from textmdp.envs.core.task import Task
from textmdp.envs.rewards.composed_task import ComposedTask
from textmdp.envs.views.response_env import ResponseEnv
from textmdp.envs.views.token_env import TokenEnv
from textmdp.envs.views.vector_env import TokenVectorEnv


def token_env(task: str, **options: Any) -> TokenEnv[Any]:
    """The token view of a task.

    Args:
        task: the task's class, "module:Class".
        **options: arguments of the task and of `TokenEnv`.

    Raises:
        TypeError: neither has an argument of that name.
    """
    made, rest = make_task(task, TokenEnv, options)
    return TokenEnv(made, **rest)


def response_env(task: str, **options: Any) -> ResponseEnv[Any]:
    """The response view of a task; arguments as in `token_env`."""
    made, rest = make_task(task, ResponseEnv, options)
    return ResponseEnv(made, **rest)


def token_vector_env(num_envs: int, task: str, **options: Any) -> TokenVectorEnv[Any]:
    """The token view of `num_envs` episodes of a task at once; arguments as in `token_env`."""
    made, rest = make_task(task, TokenVectorEnv, options)
    return TokenVectorEnv(made, num_envs, **rest)


# gym.make reads the render modes here.
token_env.metadata = TokenEnv.metadata  # type: ignore[attr-defined]
response_env.metadata = ResponseEnv.metadata  # type: ignore[attr-defined]


def task_arguments(task: str) -> list[str]:
    """The names of the arguments of the task "module:Class"."""
    return _parameters(_load(task))


def make_task(path: str, view: type, options: dict[str, Any]) -> tuple[Task[Any], dict[str, Any]]:
    """The task "module:Class" with its part of the options, and the remaining options, which are the view's.

    Every task takes the option `rewards`, see `textmdp.envs.rewards`.
    """
    rewards = options.pop("rewards", None)
    task_class = _load(path)
    task_names, view_names = _parameters(task_class), [n for n in _parameters(view) if n not in ("task", "num_envs")]
    for name in options:
        if name not in task_names and name not in view_names:
            close = difflib.get_close_matches(name, task_names + view_names, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            known = ", ".join((*task_names, "rewards"))
            raise TypeError(
                f"unexpected argument {name!r}{hint} Arguments of {task_class.__name__}: {known}; "
                f"of {view.__name__}: {', '.join(view_names)}"
            )
    made = task_class(**{name: value for name, value in options.items() if name in task_names})
    if rewards is not None:
        made = ComposedTask(made, rewards)
    return made, {name: value for name, value in options.items() if name not in task_names}


def _load(path: str) -> type[Task[Any]]:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _parameters(of: type) -> list[str]:
    return [name for name in inspect.signature(of).parameters]
