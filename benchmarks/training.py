"""How fast a policy learns from a batch: passes there and back, against those of transformers and torch.

    python -m textmdp.benchmarks.training

Llamas from scratch; prompts of 16 random tokens, responses of 48, of which the log-probabilities are differentiated.
Prompts are all different, or come in groups, as GRPO's do. Ours is `LanguageModel.log_probs` and the way back; against
it stands what trainers do with a network of transformers: logits of all rows, and the log-softmax of those that speak
of responses. Both take turns (backwards in every other repeat), after one round to warm up; a ratio is taken within a
repeat, and the median is printed with its quartiles. Their gradients are compared first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from textmdp.agents.models.language_model import LanguageModel
from textmdp.benchmarks.decoding import PROMPT, RESPONSE, SHAPES, RandomPrompts, in_turns, matmul_peak, sweep
from textmdp.envs import TokenVectorEnv
from textmdp.envs.core.episode import ENVIRONMENT, POLICY


def gradient(model: LanguageModel) -> Tensor:
    """Of all weights, one after another."""
    gradients = [weights.grad for weights in model.network.parameters()]
    return torch.cat([gradient.flatten() for gradient in gradients if gradient is not None])


def measure(parameters: float, batch: int, group: int, repeats: int) -> dict[str, Any]:
    """The figures of one model and batch.

    Args:
        parameters: of the model, in millions, a key of `SHAPES`.
        batch: episodes at a time.
        group: episodes of each prompt; it divides `batch`.
        repeats: how often each way is timed.
    """
    tokenizer = TokenVectorEnv(RandomPrompts(), 1).mdp.tokenizer
    layers, width, heads = SHAPES[parameters]
    model = LanguageModel.tiny(tokenizer, PROMPT + RESPONSE, layers=layers, width=width, heads=heads)
    usable = (~model.never).nonzero()[:, 0].numpy()
    rng = np.random.default_rng(0)
    prompts = rng.choice(usable, (batch // group, PROMPT)).repeat(group, 0)
    tokens = torch.from_numpy(np.concatenate([prompts, rng.choice(usable, (batch, RESPONSE))], 1))
    roles = torch.full(tokens.shape, POLICY)
    roles[:, :PROMPT] = ENVIRONMENT

    def ours() -> None:
        model.network.zero_grad()
        model.log_probs(tokens, roles).log_probs.sum().backward()

    def theirs() -> None:
        model.network.zero_grad()
        logits = model.network(input_ids=tokens, use_cache=False).logits[:, PROMPT - 1 : -1]
        every = model.distribution(logits)
        every.gather(2, tokens[:, PROMPT:, None]).sum().backward()

    ways: dict[str, Callable[[], object]] = {"textmdp": ours, "transformers": theirs}
    found = []
    for way in ways.values():  # to warm up
        way()
        found.append(gradient(model))
    apart = float((found[0] - found[1]).norm() / found[1].norm())
    if not apart < 1e-4:
        raise RuntimeError(f"the gradients are {apart:.1g} apart")
    taken = in_turns(ways, repeats)
    low, median, high = np.percentile(np.divide(taken["transformers"], taken["textmdp"]), [25, 50, 75])
    read = batch * RESPONSE + batch // group * PROMPT
    return {
        "parameters": model.num_parameters,
        "batch": batch,
        "group": group,
        "seconds": {name: float(np.median(times)) for name, times in taken.items()},
        "ratio": {"median": median, "quartiles": [low, high]},
        # Six operations a parameter and token that is read: two there, four back.
        "gflops": 6e-9 * model.num_parameters * read / float(np.median(taken["textmdp"])),
        "matmul_peak_gflops": matmul_peak() / 1e9,
        "gradients_apart": apart,
    }


def _line(told: dict[str, Any]) -> str:
    taken, ratio = told["seconds"], told["ratio"]
    low, high = ratio["quartiles"]
    return (
        f"{taken['textmdp']:7.3f} s {taken['transformers']:11.3f} s {ratio['median']:6.2f} × {low:5.2f}–{high:.2f} "
        f"{told['gflops']:9.0f} {told['matmul_peak_gflops']:12.0f}"
    )


def main() -> None:
    """Measure and print; with `--out`, write the figures as JSON."""
    heading = "  textmdp  transformers   ratio  quartiles   GFLOP/s  matmul peak"
    sweep("training", __doc__, heading, measure, _line, (64, 256), 9)


if __name__ == "__main__":
    main()
