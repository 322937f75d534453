"""Single-turn tasks for TRL: a data set of prompts, and a reward function that grades completions.

```python
task = gym.make("TextMath-v0", dataset="train.jsonl", prompt="gsm8k").unwrapped.mdp.task
trainer = GRPOTrainer(model, reward_funcs=trl_reward(task), train_dataset=trl_dataset(task), args=config)
trainer.train()
```
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from textmdp.envs.core.randomness import turn_generator
from textmdp.envs.core.task import Task

#: The column of the data set with the number of the problem, which the reward function gets back.
PROBLEM = "problem"


def trl_dataset(task: Task[Any], count: int | None = None, *, seed: int = 0, chat: bool = False) -> Any:
    """A `datasets.Dataset` with the columns `prompt` and `problem`.

    Args:
        task: with one turn.
        count: number of problems, drawn without replacement; None for all in their order.
        seed: of the draw.
        chat: give prompts as a user's message, for models with a chat template, instead of as plain text.

    Raises:
        ValueError: the task is a dialogue, or has unlimited problems and `count` is None, or fewer than `count`.
        ImportError: `datasets` is not installed.
    """
    try:
        from datasets import Dataset
    except ImportError as error:
        raise ImportError('a data set for TRL needs datasets: pip install "textmdp[datasets]"') from error
    _check_single_turn(task)
    stop = task.num_problems
    if count is None and stop is None:
        raise ValueError(f"{type(task).__name__} has unlimited problems: give count, such as count=10_000")
    if count is None:
        numbers = [*range(stop or 0)]
    elif stop is None:
        numbers = np.random.default_rng(seed).integers(2**62, size=count).tolist()
    elif count > stop:
        raise ValueError(f"count={count} problems of {stop}: leave count out for all")
    else:
        numbers = np.random.default_rng(seed).choice(stop, size=count, replace=False).tolist()
    texts = [text for _, text in task.problems(numbers)]
    prompts = [[{"role": "user", "content": text}] for text in texts] if chat else texts
    return Dataset.from_dict({"prompt": prompts, PROBLEM: numbers})


def trl_reward(task: Task[Any]) -> Callable[..., list[float]]:
    """A reward function of TRL: the task's scores of completions to the prompts of `trl_dataset`.

    Completions are text, or lists of messages, of which the last is graded. Random replies are those of an episode with
    the problem's number as its key.

    Raises:
        ValueError: the task is a dialogue.
    """
    _check_single_turn(task)

    def reward(*, completions: Sequence[Any], problem: Sequence[int], **_others: Any) -> list[float]:
        """The reward of each completion; TRL passes further columns, which count for nothing."""
        texts = [text if isinstance(text, str) else text[-1]["content"] for text in completions]
        states = [state for state, _ in task.problems([*problem])]
        replies = task.reply_many(states, texts, [turn_generator(number, 0) for number in problem])
        return [reply.score.total for reply in replies]

    reward.__name__ = type(task).__name__  # the name in TRL's logs
    return reward


def _check_single_turn(task: Task[Any]) -> None:
    if task.max_turns > 1:
        raise ValueError(
            f"{type(task).__name__} is a dialogue of up to {task.max_turns} turns, and TRL's reward functions grade "
            "one completion: use a task of one turn"
        )
