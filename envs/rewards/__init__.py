"""Rewards that compose: the reward of any task, re-weighted, extended by functions and combined.

```python
import gymnasium as gym
import textmdp.envs

gym.make("TextMath-v0", rewards={"correct": 1.0, "format": 0.1})          # the task's own parts, re-weighted
gym.make("TextMath-v0", rewards="gate(format, correct) - 0.5 * length_limit(limit=8)")
gym.make("TextPoem-v0", rewards={"lines": 1.0, "my_rewards:rhymes": 0.5})  # a function of yours, by import path
```

A reward function has the form that TRL's trainers take, `f(prompts, completions, **columns) -> list[float]`; see
`textmdp.envs.rewards.functions`. `textmdp.envs.rewards.expressions` has the operators, `textmdp.envs.rewards.rules` the
functions that ship with the package. A part of weight 0 is a metric. A reward that is not known (NaN, infinity, an
exception, a list of another length) is a `RewardError`, never a value.
"""

from textmdp.envs.rewards.composed_task import ComposedTask
from textmdp.envs.rewards.expressions import Clip, Gate, Part, Product, Sequence, Spec, Sum, parse
from textmdp.envs.rewards.functions import RewardError, RewardFunction
from textmdp.envs.rewards.rules import RULES

__all__ = [
    "RULES",
    "Clip",
    "ComposedTask",
    "Gate",
    "Part",
    "Product",
    "RewardError",
    "RewardFunction",
    "Sequence",
    "Spec",
    "Sum",
    "parse",
]
