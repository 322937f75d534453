"""The entry points of the registered ids: views of a task by the name of its class."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Mapping
from itertools import chain
from numbers import Integral, Real
from os import PathLike
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from textmdp.envs.core.task import Task
from textmdp.envs.rewards.composed_task import ComposedTask
from textmdp.envs.rewards.prompted_task import (
    QUESTION,
    PromptedTask,
    expert_examples,
    read_examples,
    template_of,
)
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

    Every task takes the options `rewards`, see `textmdp.envs.rewards`, and

    - `prompt`: a template with `{question}` in it, or the name of one, see `textmdp.envs.rewards.prompted_task`;
    - `system`: a system prompt, in the chat template's own place, or before the problem where there is none;
    - `examples`: a list of pairs [question, answer], or a number of training problems with an expert's responses;
    - `chat_template`: of a pretrained tokenizer, see `PretrainedTokenizer`; False for none.
    """
    rewards, prompt = options.pop("rewards", None), options.pop("prompt", None)
    system, examples = options.pop("system", None), options.pop("examples", None)
    task_class = _load(path)
    before = _with_chat(options, system or "", options.pop("chat_template", None))
    task_names, view_names = _parameters(task_class), [n for n in _parameters(view) if n not in ("task", "num_envs")]
    for name in options:
        if name not in task_names and name not in view_names:
            close = difflib.get_close_matches(name, [*task_names, *view_names, *EVERY_TASK], n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            known = ", ".join((*task_names, *EVERY_TASK))
            raise TypeError(
                f"unexpected argument {name!r}{hint} Arguments of {task_class.__name__}: {known}; "
                f"of {view.__name__}: {', '.join(view_names)}"
            )
    _check_numbers(task_class, options)
    _check_numbers(view, options)
    own = {name: value for name, value in options.items() if name in task_names}
    made = task_class(**own)
    if prompt is not None or before or examples:
        made = _prompted(made, own, task_names, prompt, before, examples or [])
    if rewards is not None:
        made = ComposedTask(made, rewards)
    return made, {name: value for name, value in options.items() if name not in task_names}


#: Arguments that every task takes.
EVERY_TASK = ("rewards", "prompt", "system", "examples", "chat_template")


def _with_chat(options: dict[str, Any], system: str, chat_template: str | bool | None) -> str:
    """Put the system prompt and the template into the tokenizer; returns the system prompt if that has no place."""
    source = options.get("tokenizer")
    named = isinstance(source, str | PathLike) and source != "bytes"
    if chat_template is not None and not named:
        raise ValueError(f"chat_template= is of a pretrained tokenizer, and tokenizer={source!r} is none: name one")
    if named and (system or chat_template is not None):
        from textmdp.envs.tokenizers.pretrained import PretrainedTokenizer

        options["tokenizer"] = tokenizer = PretrainedTokenizer(source, chat_template=chat_template, system=system)
        return "" if tokenizer.has_chat_template else system
    return system


def _prompted(
    task: Task[Any], arguments: dict[str, Any], names: list[str], prompt: str | None, before: str, examples: Any
) -> PromptedTask[Any]:
    """The task with its prompt; a number of examples is taken from its training problems."""
    count = None
    if isinstance(examples, int) and not isinstance(examples, bool):
        if examples < 0:
            raise ValueError(f"examples={examples} must be at least 0")
        training = type(task)(**{**arguments, "split": "train"}) if "split" in names else task
        count, shown = examples, expert_examples(training, examples)
    else:
        shown = read_examples(examples)
    return PromptedTask(task, template_of(QUESTION if prompt is None else prompt), before, shown, count)


#: Types of arguments that a wrong value is told by: words for them, and the instances.
_KINDS: dict[Any, tuple[str, tuple[type, ...]]] = {
    int: ("a whole number", (Integral,)),
    float: ("a number", (Real,)),
    bool: ("True or False", (bool, np.bool_)),
    str: ("text", (str,)),
    PathLike: ("a path", (PathLike,)),
    type(None): ("None", (type(None),)),
}


def _check_numbers(of: type, options: Mapping[str, Any]) -> None:
    """Raise a `TypeError` for a value of another type than the annotation of its argument, such as "abc" for `int`.

    Arguments that take text alone are left to their owner, who knows the names that are allowed.
    """
    try:
        hints = get_type_hints(of.__init__)  # type: ignore[misc]
    except NameError:  # a name that is imported for type checking only
        return
    for name, value in options.items():
        hint = hints.get(name)
        members = get_args(hint) if isinstance(hint, UnionType) or get_origin(hint) is Union else (hint,)
        kinds = [_KINDS.get(get_origin(member) or member) for member in members]
        if None in kinds or {*members} <= {str, type(None)}:
            continue
        words, types = zip(*(kind for kind in kinds if kind is not None), strict=True)
        wrong_bool = isinstance(value, bool) and bool not in members
        if wrong_bool or not isinstance(value, tuple(chain.from_iterable(types))):
            raise TypeError(f"{name}={value!r} must be {' or '.join(words)}")


def _load(path: str) -> type[Task[Any]]:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _parameters(of: type) -> list[str]:
    return [name for name in inspect.signature(of).parameters]
