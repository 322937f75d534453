"""What a network computes in, and how exactly: float32, or bfloat16 where that is fast enough to be worth its rounding.

Whatever the network computes in, its logits are made float32 before the log-softmax: see `LanguageModel.distribution`.
"""

from __future__ import annotations

from threading import get_ident
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

#: How far the log-probabilities of sampling and of training may lie apart by rounding alone, in nats. Reduced types
#: round logits of about 16 to 1/16 (bfloat16) and 1/128 (float16), and sum up in another order in each pass.
TOLERANCES = {torch.float32: 1e-4, torch.bfloat16: 0.25, torch.float16: 0.03}


class Autocast:
    """Multiplies a network's matrices in bfloat16; weights, residual stream and log-softmax stay float32.

    It hangs on the network itself, as hooks, so that whoever calls it, to sample or to train, gets the same numbers;
    from any thread, since torch keeps a state of it for each.
    """

    def __init__(self) -> None:
        self._entered: dict[int, list[torch.autocast]] = {}  # by thread

    def enter(self, network: nn.Module, arguments: Any) -> None:
        """Before the forward."""
        context = torch.autocast(next(network.parameters()).device.type, torch.bfloat16)
        context.__enter__()
        self._entered.setdefault(get_ident(), []).append(context)

    def leave(self, network: nn.Module, arguments: Any, output: Any) -> None:
        """After it, whether or not it failed."""
        self._entered[get_ident()].pop().__exit__(None, None, None)


def compute_in_bfloat16(network: PreTrainedModel) -> None:
    """Let the forward of a network, and of its copies, run in `Autocast`."""
    autocast = Autocast()
    network.register_forward_pre_hook(autocast.enter)
    network.register_forward_hook(autocast.leave, always_call=True)


def precision(network: nn.Module) -> torch.dtype:
    """What a network multiplies its matrices in: bfloat16 under `Autocast`, else the type of its weights."""
    for module in network.modules():
        if any(isinstance(getattr(hook, "__self__", None), Autocast) for hook in module._forward_pre_hooks.values()):
            return torch.bfloat16
    return next(network.parameters()).dtype
