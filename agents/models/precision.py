"""Precision of a network: float32, or bfloat16 with its rounding errors.

Logits are converted to float32 before the log-softmax in either case: see `LanguageModel.distribution`.
"""

from __future__ import annotations

from threading import get_ident
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

#: The most that log-probabilities of sampling and of training may differ by rounding, in nats. Reduced types round
#: logits of about 16 to 1/16 (bfloat16) and 1/128 (float16), and each pass sums in another order.
TOLERANCES = {torch.float32: 1e-4, torch.bfloat16: 0.25, torch.float16: 0.03}


class Autocast:
    """Hooks that let a network multiply matrices in bfloat16; weights, residual stream and log-softmax stay float32.

    Since they are hooks of the network itself, sampling and training compute the same. torch's autocast is a state of
    each thread, and so are the contexts here.
    """

    def __init__(self) -> None:
        self._entered: dict[int, list[torch.autocast]] = {}  # by thread

    def enter(self, network: nn.Module, arguments: Any) -> None:
        """Enable autocast before a forward."""
        context = torch.autocast(next(network.parameters()).device.type, torch.bfloat16)
        context.__enter__()
        self._entered.setdefault(get_ident(), []).append(context)

    def leave(self, network: nn.Module, arguments: Any, output: Any) -> None:
        """Disable autocast after a forward, even if it failed."""
        self._entered[get_ident()].pop().__exit__(None, None, None)


def compute_in_bfloat16(network: PreTrainedModel) -> None:
    """Run the forward of a network, and of its copies, in `Autocast`."""
    autocast = Autocast()
    network.register_forward_pre_hook(autocast.enter)
    network.register_forward_hook(autocast.leave, always_call=True)


def precision(network: nn.Module) -> torch.dtype:
    """The type in which a network multiplies matrices: bfloat16 with `Autocast`, else the type of its weights."""
    for module in network.modules():
        if any(isinstance(getattr(hook, "__self__", None), Autocast) for hook in module._forward_pre_hooks.values()):
            return torch.bfloat16
    return next(network.parameters()).dtype
