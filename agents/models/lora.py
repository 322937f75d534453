"""Low-rank adapters: few weights that learn beside a network that stays as it is (LoRA, https://arxiv.org/abs/2106.09685).

The network without them is still there, so the policy that training began with needs no copy to be the reference.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

import torch
from transformers.pytorch_utils import Conv1D

from textmdp.agents.models.language_model import LanguageModel


class AdaptedModel(LanguageModel):
    """A policy whose network is frozen but for adapters; `add_lora` makes it."""

    @contextmanager
    def reference(self) -> Iterator[None]:
        """Within it the policy is the one without adapters, to sample and to train alike."""
        with self.network.disable_adapter():
            yield

    def save(self, folder: str | PathLike[str]) -> None:
        """Write the model with its adapters merged in, as `LanguageModel.save` does, and they alone in adapter/."""
        merged = copy.deepcopy(self.network).merge_and_unload()
        LanguageModel(merged, self.tokenizer).save(folder)
        self.network.save_pretrained(Path(folder) / "adapter", save_embedding_layers=False)


def add_lora(
    model: LanguageModel,
    rank: int = 8,
    alpha: int = 16,
    targets: str | Sequence[str] = "all-linear",
    seed: int = 0,
) -> AdaptedModel:
    """Freeze a model, and give it adapters: W becomes W + (alpha / rank) · B A, with B 0, so that it says the same.

    Args:
        model: taken over; use what is returned from then on.
        rank: the rows of A and columns of B.
        alpha: scales what they add.
        targets: which matrices get them: names such as ["q_proj", "v_proj"], or "all-linear" for all but the head.
        seed: of A.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ImportError('adapters need peft, which is not installed: pip install "textmdp[lora]"') from error
    if isinstance(model, AdaptedModel):
        raise ValueError("the model has adapters already: save it, and load the merged one to add others")
    if rank < 1:
        raise ValueError(f"rank={rank} must be at least 1")
    network = model.network
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules=targets if isinstance(targets, str) else list(targets),
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in network.modules()),  # GPT-2 keeps its transposed
        task_type="CAUSAL_LM",
    )
    devices = [network.device] if network.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):  # peft draws weights from the global generators
        torch.manual_seed(seed)
        adapted = get_peft_model(network, config)
    return AdaptedModel(adapted, model.tokenizer)
