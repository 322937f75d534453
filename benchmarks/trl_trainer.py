"""TRL's `GRPOTrainer`, set up like our trainer with `algorithm="grpo"`, and as fast as its options allow.

- `per_device_train_batch_size` is the whole batch: one call of `generate` and one backward pass.
- `gradient_checkpointing=False` (on by default), `bf16=False` (ours computes in float32), `use_cpu=True`.
- No logs, checkpoints, progress bars or reports; no workers or pinned memory, since the data set is in memory.
- `beta=0`, so that there is no reference model; `loss_type="grpo"`, `scale_rewards="group"`, the same clipping range;
  sampling from the whole vocabulary at temperature 1.
- `lr_scheduler_type="constant_with_warmup"` and no weight decay, for the same steps of Adam.
- Prompts are plain text, without a chat template; rewards come from the task's own checker on the sampled ids.

Checks at the first batch: TRL's prompts have our tokens, with none before them; its completions decode to our texts;
an environment gives the same rewards for them.
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
    """Raise an ImportError with the fix if TRL isn't installed."""
    if find_spec("trl") is None:
        raise ImportError('the comparison needs TRL: pip install "textmdp[trl]"')


def trl_trainer(
    model: LanguageModel, envs: TokenVectorEnv[Any], config: Config, callback: TrainerCallback, folder: str
) -> Any:
    """Return TRL's trainer for this configuration; an update is `config.epochs` of its steps.

    Args:
        model: changed in place.
        envs: `config.episodes` rows of a task of one turn, such as TextMath: its problems, budget and rewards.
        config: gives sizes, rates, temperature, clipping range and seed.
        callback: called at every step.
        folder: for TRL's files.
    """
    require_trl()
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    mdp, tokenizer = envs.mdp, envs.mdp.tokenizer.to_transformers()
    rng = np.random.default_rng(config.seed)
    problems = rng.integers(2**62, size=config.updates * config.episodes // config.group_size).tolist()
    prompts = [text for _, text in mdp.task.problems(problems)]
    openings = [mdp.tokenizer.opening(prompt) for prompt in prompts]
    _require(tokenizer(text=prompts)["input_ids"] == openings, "TRL's prompts have other tokens than the environment's")
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
    """An agent that repeats given tokens in each row."""

    def __init__(self, tokens: Sequence[Sequence[int]]) -> None:
        self.tokens = tokens

    def begin(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> None:
        """Start at the first token."""
        self.start = envs.lengths.copy()

    def act(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> Action:
        """Return the next token of each row."""
        return Action(np.array([self.tokens[row][envs.lengths[row] - self.start[row]] for row in rows.tolist()]))


class Checker:
    """The reward function for TRL: the task's checker. Its first call is compared with an environment."""

    __name__ = "checker"

    def __init__(self, envs: TokenVectorEnv[Any]) -> None:
        self.envs, self.compared = envs, False
        self.rngs = [np.random.default_rng(0)] * envs.num_envs  # TextMath doesn't use them

    def __call__(
        self, prompts: list[str], completions: list[str], completion_ids: list[list[int]], problem: list[int], **_: Any
    ) -> list[float]:
        """Return the reward of each completion; TRL passes more arguments than these."""
        mdp = self.envs.mdp
        responses = mdp.tokenizer.decode_many(completion_ids)
        states = [state for state, _ in mdp.task.problems(problem)]
        rewards = [reply.score.total for reply in mdp.task.reply_many(states, responses, self.rngs)]
        if not self.compared:
            self.compared = True
            shown = [response.replace(REPLACEMENT, "") for response in responses]  # TRL omits special tokens
            _require(completions == shown, "TRL decodes completions to other texts than the environment")
            played = rollout(Script(completion_ids), self.envs, problems=problem).returns.tolist()
            _require(rewards == played, "the environment gives other rewards for TRL's completions")
        return rewards


def _require(holds: bool, failure: str) -> None:
    if not holds:
        raise AssertionError(f"the comparison is unfair: {failure}")
