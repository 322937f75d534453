"""What a training run is made of, as a command line says it. Nothing here knows of torch, so that help is fast."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from textmdp.agents.algorithms.config import Config, ImitationConfig
from textmdp.agents.cli.options import takes


@dataclass(frozen=True)
class Network:
    """The language model."""

    model: str = ""
    """A causal language model to start from, a folder or a name on the hub; empty for a tiny one from scratch."""
    layers: int = 2
    """Of the tiny one: blocks of attention and MLP."""
    width: int = 128
    """Of the tiny one: its residual stream."""
    heads: int = 4
    """Of the tiny one: heads of each attention; they divide the width."""
    dtype: str = "float32"
    """Of the weights of a model that is opened: "float32", "bfloat16" or "auto"."""
    lora_rank: int = 0
    """Train low-rank adapters of this rank and leave all other weights as they are; 0 trains all."""


@dataclass(frozen=True)
class EvalConfig:
    """When the model is evaluated, greedily, on the held-out split."""

    evaluate_every: int = 10
    """Updates between two evaluations; a checkpoint is written at each."""
    evaluate_episodes: int = 200
    """Episodes of such an evaluation."""
    final_episodes: int = 500
    """Episodes of the evaluations before, between and after the two kinds of training."""
    until: float = 0.0
    """Stop when an evaluation reaches this accuracy; 0 for never."""
    checkpoint_every: int = 10
    """Updates between two checkpoints, from which --resume goes on."""

    def __post_init__(self) -> None:
        for name in ("evaluate_every", "evaluate_episodes", "final_episodes", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")


@dataclass(frozen=True)
class Plan:
    """All that a training run is made of."""

    env_id: str
    arguments: dict[str, Any]
    seed: int = 0
    network: Network = field(default_factory=Network)
    imitation: ImitationConfig = field(default_factory=ImitationConfig)
    training: Config = field(default_factory=Config)
    measuring: EvalConfig = field(default_factory=EvalConfig)

    def held_out(self) -> dict[str, Any]:
        """The arguments of the environment that is evaluated on."""
        return {**self.arguments, "split": "test"} if takes(self.env_id, "split") else self.arguments

    def settings(self) -> dict[str, Any]:
        """As config.json has them: flat."""
        imitation = {f"imitation_{name}": value for name, value in asdict(self.imitation).items() if name != "seed"}
        training = {name: value for name, value in asdict(self.training).items() if name != "seed"}
        return {**training, **imitation, **asdict(self.network), **asdict(self.measuring)}
