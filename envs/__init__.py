"""Environments in which writing text is the Markov decision process; importing this registers their ids.

```python
import gymnasium as gym
import textmdp.envs

env = gym.make("TextMath-v0")                  # one action is a token
env = gym.make("TextMathResponse-v0")          # one action is a response
envs = gym.make_vec("TextMath-v0", 1024)       # many episodes at once, token by token
```
"""

from gymnasium.envs.registration import register, registry

from textmdp.envs.core.episode import Episode, Snapshot
from textmdp.envs.core.spaces import UnicodeText
from textmdp.envs.core.task import END_OF_TURN, Outcome, Reply, Score, Task
from textmdp.envs.tokenizers import ByteTokenizer, LexiconTokenizer, Tokenizer
from textmdp.envs.views.response_env import ResponseEnv
from textmdp.envs.views.token_env import TokenEnv
from textmdp.envs.views.vector_env import TokenVectorEnv

__all__ = [
    "END_OF_TURN",
    "TASKS",
    "ByteTokenizer",
    "Episode",
    "LexiconTokenizer",
    "Outcome",
    "Reply",
    "ResponseEnv",
    "Score",
    "Snapshot",
    "Task",
    "TokenEnv",
    "TokenVectorEnv",
    "Tokenizer",
    "UnicodeText",
    "register_task",
]

#: The registered tasks, from names to classes "module:Class". Each has two ids, `NAME-v0` and `NAMEResponse-v0`.
TASKS: dict[str, str] = {}


def register_task(name: str, task: str, reward_threshold: float | None = None) -> None:
    """Register the views of a task: `NAME-v0`, token by token, and `NAMEResponse-v0`, response by response.

    Args:
        name: the beginning of the ids.
        task: the class as "module:Class", which is imported when an environment is made.
        reward_threshold: the mean return at which the task counts as solved.
    """
    TASKS[name] = task
    for env_id in (f"{name}-v0", f"{name}Response-v0"):
        registry.pop(env_id, None)  # registering again replaces
    register(
        f"{name}-v0",
        entry_point="textmdp.envs.registration:token_env",
        vector_entry_point="textmdp.envs.registration:token_vector_env",
        reward_threshold=reward_threshold,
        kwargs={"task": task},
    )
    register(
        f"{name}Response-v0",
        entry_point="textmdp.envs.registration:response_env",
        reward_threshold=reward_threshold,
        kwargs={"task": task},
    )


register_task("TextMath", "textmdp.envs.tasks.text_math:TextMath", reward_threshold=0.95)
register_task("TextGuess", "textmdp.envs.tasks.text_guess:TextGuess", reward_threshold=0.95)
register_task("TextCode", "textmdp.envs.tasks.text_code:TextCode", reward_threshold=0.9)
register_task("TextPoem", "textmdp.envs.tasks.text_poem:TextPoem", reward_threshold=0.95)
register_task("TextSupport", "textmdp.envs.tasks.text_support:TextSupport", reward_threshold=0.9)
register_task("TextUmbrella", "textmdp.envs.tasks.diagnostics:TextUmbrella", reward_threshold=0.95)
register_task("TextMemory", "textmdp.envs.tasks.diagnostics:TextMemory", reward_threshold=0.95)
register_task("TextDelay", "textmdp.envs.tasks.diagnostics:TextDelay", reward_threshold=0.95)
register_task("TextDistractor", "textmdp.envs.tasks.diagnostics:TextDistractor", reward_threshold=0.95)
register_task("TextLengthBias", "textmdp.envs.tasks.diagnostics:TextLengthBias", reward_threshold=0.95)
register_task("TextScale", "textmdp.envs.tasks.diagnostics:TextScale", reward_threshold=5.225)
register_task("TextFormatTrap", "textmdp.envs.tasks.diagnostics:TextFormatTrap", reward_threshold=1.9)
register_task("TextKeyDoor", "textmdp.envs.tasks.diagnostics:TextKeyDoor", reward_threshold=0.95)
register_task("TextStopping", "textmdp.envs.tasks.diagnostics:TextStopping", reward_threshold=1.9)
register_task("TextDepth", "textmdp.envs.tasks.diagnostics:TextDepth", reward_threshold=0.94)
