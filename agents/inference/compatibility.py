"""Loads models, and checks that sampling from a cache gives the log-probabilities of training."""

from __future__ import annotations

from os import PathLike

import numpy as np
import torch

from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import rollout
from textmdp.envs.core.task import Reply, Score, Task
from textmdp.envs.tokenizers import Tokenizer
from textmdp.envs.views.vector_env import TokenVectorEnv

#: Log-probabilities of a model with large logits may differ by as much from rounding. Training checks more closely.
_ROUNDING = 1e-2


def load_model(
    source: str | PathLike[str],
    tokenizer: Tokenizer,
    *,
    dtype: str = "float32",
    device: str | torch.device | None = None,
    autocast: bool | None = None,
) -> LanguageModel:
    """A saved model or any causal language model that transformers can open, checked by `check_model`.

    Args:
        source: a folder, or a name on the hub.
        tokenizer: of the environment.
        dtype, device, autocast: see `textmdp.agents.models.loading.load_network`, which also lists the errors.

    Raises:
        ValueError: the network can't be sampled from a cache.
    """
    model = LanguageModel.load(source, tokenizer, dtype=dtype, device=device, autocast=autocast)
    check_model(model, source)
    return model


class _Trial(Task[None]):
    """Prompts of one to three letters, and responses of up to four."""

    num_problems = 3
    max_response_tokens = 4
    max_text_bytes = 4

    def problem(self, index: int) -> tuple[None, str]:
        return None, "aba"[: index + 1]

    def reply(self, state: None, response: str, rng: np.random.Generator) -> Reply[None]:
        return Reply(None, "", Score.of(replied=1.0), True)

    def demonstrate(self, state: None, rng: np.random.Generator) -> str:
        return "a"

    def vocabulary(self) -> tuple[str, ...]:
        return "a", "b"


def check_model(model: LanguageModel, source: str | PathLike[str]) -> None:
    """Refuse a network that attends to later tokens, or whose passes through a cache differ from one over all tokens.

    It samples some episodes of up to seven tokens, and compares their log-probabilities with those of training.

    Args:
        model: the policy.
        source: its name in the error.

    Raises:
        ValueError: log-probabilities differ, or a pass fails.
    """
    envs = TokenVectorEnv(_Trial(), 12, context_length=8, autoreset_mode="Disabled", copy=False)
    trial = LanguageModel(model.network, envs.mdp.tokenizer)  # its ids are the first ones of the network
    try:
        batch = rollout(LanguageModelAgent(trial), envs, seed=0, problems=[0, 1, 2] * 4)
        with torch.inference_mode():
            tokens, roles = (torch.from_numpy(array).to(trial.device) for array in (batch.tokens, batch.roles))
            # Unpacked as well: the mask of packed episodes would hide later tokens from the network.
            passes = [trial.log_probs(tokens, roles, packed=packed).log_probs.cpu().numpy() for packed in (False, True)]
        gap = max(float(np.abs(batch.log_probs - log_probs)[batch.mask].max()) for log_probs in passes)
        why = "" if gap <= max(trial.tolerance, _ROUNDING) else f"log-probabilities differ by {gap:.2g}"
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        why = str(error).partition("\n")[0]
    if why:
        raise ValueError(
            f"model={str(source)!r} ({type(model.network).__name__}) gives other log-probabilities from a cache "
            f"than in one pass ({why}): give a causal network of plain attention, as Llama, Qwen or GPT-2 are"
        )
