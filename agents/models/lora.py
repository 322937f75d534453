"""Low-rank adapters beside frozen weights (LoRA, https://arxiv.org/abs/2106.09685).

The network without its adapters is the policy that training began with, so the reference policy needs no copy.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from textmdp.agents.models.language_model import LanguageModel


class AdaptedModel(LanguageModel):
    """A policy whose network is frozen except for adapters, made by `add_lora`."""

    @contextmanager
    def reference(self) -> Iterator[None]:
        """A context in which the policy has no adapters, both in sampling and in training."""
        with self.network.disable_adapter():
            yield

    def state(self) -> dict[str, Tensor]:
        """The adapters alone: the frozen weights are those that training began with."""
        return {name: weights for name, weights in self.network.named_parameters() if weights.requires_grad}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Load the adapters that `state` returned."""
        adapters = self.state()
        if adapters.keys() != state.keys():
            raise ValueError(f"the checkpoint has {len(state)} adapters, the model {len(adapters)}, or of other names")
        with torch.no_grad():
            for name, weights in adapters.items():
                weights.copy_(state[name])

    def save(self, folder: str | PathLike[str]) -> None:
        """Write the merged model, as `LanguageModel.save` does, and the adapters alone into adapter/."""
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
    """Freeze a model and add adapters: W becomes W + (alpha / rank) · B A, with B = 0 at first.

    Args:
        model: modified in place; use the returned model instead of it.
        rank: of A, which has as many rows, and of B, which has as many columns.
        alpha: the scale of B A.
        targets: names of the matrices to adapt, such as ["q_proj", "v_proj"], or "all-linear" for all but the head.
        seed: of the initial weights of A.
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
    # peft draws weights from the global generators, and manual_seed reaches those of all devices: all are put back.
    with torch.random.fork_rng(devices=[*range(torch.cuda.device_count())]):
        torch.manual_seed(seed)
        adapted = get_peft_model(network, config)
    return AdaptedModel(adapted, model.tokenizer)
