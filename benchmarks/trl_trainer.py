"""TRL's `GRPOTrainer`, set up to do what ours does with `algorithm="grpo"`, and as fast as we could make it.

- The batch is one call of `generate` and one backward pass: `per_device_train_batch_size` is all of it.
- `gradient_checkpointing=False` (it is on by default), `bf16=False` (on CPU, and ours is float32), `use_cpu=True`.
- No logs, checkpoints, progress bars or reports; no workers or pinned memory for a data set that is in memory.
- `beta=0`, so no reference model; `loss_type="grpo"`, `scale_rewards="group"`, one clipping range; every token of the
  vocabulary at temperature 1.
- `lr_scheduler_type="constant_with_warmup"` and no weight decay: the same steps of Adam.
- Prompts are plain text, without a chat template; rewards come from the task's own checker on the sampled ids.

It is checked, not assumed, that TRL's prompts are our tokens (none before them), that its completions decode to our
texts, and that an environment gives the same rewards for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PrinterCallback, TrainerCallback

from textmdp.agents.algorithms.config import Config
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.agent import Action
from textmdp.agents.rollouts.rollout import rollout
from textmdp.envs.tokenizers.base import REPLACEMENT
from textmdp.envs.views.vector_env import TokenVectorEnv


def require_trl() -> None:
    """Say what to install where TRL is missing."""
    if find_spec("trl") is None:
        raise ImportError('the comparison needs TRL: pip install "textmdp[trl]"')


def trl_trainer(
    model: LanguageModel, envs: TokenVectorEnv[Any], config: Config, callback: TrainerCallback, folder: str
) -> Any:
    """TRL's trainer for what this configuration says; an update is `config.epochs` of its steps.

    Args:
        model: changed in place.
        envs: `config.episodes` rows of a task of one turn, such as TextMath: its problems, budget and rewards.
        config: of which the sizes, rates, temperature, clipping range and seed are taken.
        callback: told of every step.
        folder: where TRL may write.
    """
    require_trl()
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    mdp, tokenizer = envs.mdp, envs.mdp.tokenizer.to_transformers()
    rng = np.random.default_rng(config.seed)
    problems = rng.integers(2**62, size=config.updates * config.episodes // config.group_size).tolist()
    prompts = [text for _, text in mdp.task.problems(problems)]
    openings = [mdp.tokenizer.opening(prompt) for prompt in prompts]
    _require(tokenizer(text=prompts)["input_ids"] == openings, "TRL's prompts are other tokens than the environment's")
    arguments = GRPOConfig(
        output_dir=folder,
        max_steps=config.updates * config.epochs,
        per_device_train_batch_size=config.episodes,
        gradient_accumulation_steps=1,
        num_generations=config.group_size,
        num_iterations=config.epochs,
        max_completion_length=mdp.max_response_tokens,
        temperature=config.temperature,
        top_p=1.0,
        top_k=0,
        loss_type="grpo",
        scale_rewards="group",
        epsilon=config.clip_eps_low,
        epsilon_high=config.clip_eps_high,
        beta=0.0,
        learning_rate=config.learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=config.warmup_updates * config.epochs,
        weight_decay=0.0,
        max_grad_norm=config.max_grad_norm,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        shuffle_dataset=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        eval_strategy="no",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=config.seed,
    )
    trainer = GRPOTrainer(
        model=model.network,
        reward_funcs=Checker(envs),
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": prompts, "problem": problems}),
        processing_class=tokenizer,
        callbacks=[callback],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


class Script:
    """An agent that says what was said before: the tokens of each row, one after the other."""

    def __init__(self, said: Sequence[Sequence[int]]) -> None:
        self.said = said

    def begin(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> None:
        """From the first token on."""
        self.start = envs.lengths.copy()

    def act(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> Action:
        """The next token of each row."""
        return Action(np.array([self.said[row][envs.lengths[row] - self.start[row]] for row in rows.tolist()]))


class Checker:
    """The reward function that TRL calls: the task's own checker. Its first call is compared with an environment."""

    __name__ = "checker"

    def __init__(self, envs: TokenVectorEnv[Any]) -> None:
        self.envs, self.compared = envs, False
        self.chance = [np.random.default_rng(0)] * envs.num_envs  # TextMath makes no use of it

    def __call__(
        self, prompts: list[str], completions: list[str], completion_ids: list[list[int]], problem: list[int], **_: Any
    ) -> list[float]:
        """The reward of each completion. TRL gives more arguments than these."""
        mdp = self.envs.mdp
        responses = mdp.tokenizer.decode_many(completion_ids)
        states = [state for state, _ in mdp.task.problems(problem)]
        rewards = [reply.score.total for reply in mdp.task.reply_many(states, responses, self.chance)]
        if not self.compared:
            self.compared = True
            shown = [response.replace(REPLACEMENT, "") for response in responses]  # TRL leaves special tokens out
            _require(completions == shown, "TRL decodes completions to other texts than the environment")
            played = rollout(Script(completion_ids), self.envs, problems=problem).returns.tolist()
            _require(rewards == played, "the environment gives other rewards for TRL's completions")
        return rewards


def _require(holds: bool, what_is_wrong: str) -> None:
    if not holds:
        raise AssertionError(f"no fair comparison: {what_is_wrong}")
