"""The configuration of a training run. It imports no torch, so that `--help` is fast."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from textmdp.agents.algorithms.config import Config, ImitationConfig
from textmdp.envs import TASKS
from textmdp.envs.registration import task_arguments

DTYPES = ("float32", "bfloat16", "auto")


@dataclass(frozen=True)
class NetworkConfig:
    """The language model."""

    model: str = ""
    """Causal language model to start from, a folder or a hub name; empty for a tiny Llama with random weights."""
    layers: int = 2
    """Transformer blocks of the tiny model."""
    width: int = 128
    """Hidden size of the tiny model."""
    heads: int = 4
    """Attention heads of the tiny model; they divide the width."""
    dtype: str = "float32"
    """Type of the weights of --model: "float32", "bfloat16" or "auto"."""
    lora_rank: int = 0
    """Train low-rank adapters of this rank and freeze all other weights; 0 trains all weights."""

    gradient_checkpointing: bool = False
    """Whether to compute activations again in the backward pass: less memory, more time; the same gradient."""

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype={self.dtype!r} is none of {', '.join(map(repr, DTYPES))}")
        self._check_sizes()
        if self.lora_rank < 0:
            raise ValueError(f"lora_rank={self.lora_rank} must be at least 0; 0 trains all weights")
        if not self.model and self.dtype != "float32":
            raise ValueError(f"dtype={self.dtype!r} is for a model that is loaded, and none is given: set model")
        sizes = ("layers", "width", "heads")
        if self.model and (changed := [name for name in sizes if getattr(self, name) != getattr(NetworkConfig, name)]):
            raise ValueError(
                f"{changed[0]}={getattr(self, changed[0])} is for the tiny model, and model={self.model!r} is loaded: "
                "leave one out"
            )

    def _check_sizes(self) -> None:
        for name, least in (("layers", 1), ("heads", 1), ("width", 6)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} must be at least {least}")
        if self.width % (2 * self.heads):
            step = 2 * self.heads
            near = max(step, round(self.width / step) * step)
            raise ValueError(
                f"width={self.width} must be a multiple of {step}, twice the {self.heads} heads, since positions turn "
                f"pairs of numbers in each head: use width={near}"
            )


@dataclass(frozen=True)
class EvalConfig:
    """Greedy evaluation on held-out problems, and checkpoints."""

    evaluate_every: int = 10
    """Updates between two evaluations; the model is saved at each."""
    evaluate_episodes: int = 200
    """Episodes of each of these evaluations."""
    final_episodes: int = 500
    """Episodes of the evaluations before imitation, after imitation, and at the end."""
    until: float = 0.0
    """Stop when an evaluation reaches this accuracy; 0 for never."""
    checkpoint_every: int = 10
    """Updates between two checkpoints, which --resume goes on from."""

    def __post_init__(self) -> None:
        for name in ("evaluate_every", "evaluate_episodes", "final_episodes", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if not 0.0 <= self.until <= 1.0:
            raise ValueError(f"until={self.until} must lie in [0, 1]: an accuracy, or 0 for never")


@dataclass(frozen=True)
class CurriculumConfig:
    """Training on one difficulty after the other."""

    stages: str = ""
    """Difficulties to train on one after the other, such as one-digit/two-digit; empty for --set difficulty alone."""
    threshold: float = 0.8
    """Fraction of episodes with full marks that ends a stage."""
    window: int = 3
    """Updates over which this fraction is averaged."""

    def arguments(self, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the arguments of the environment of each stage."""
        return [{**arguments, "difficulty": stage} for stage in self.stages.split("/")]


@dataclass(frozen=True)
class ExperimentConfig:
    """The configuration of a training run: environment, model, imitation, policy gradient, evaluation.

    Attributes:
        env_id: id of a token-level environment.
        arguments: of the environment, JSON values.
        seed: of everything.
        network: the language model.
        imitation: the warm start.
        training: the policy gradient.
        evaluation: evaluations and checkpoints.
        curriculum: stages of the policy gradient; imitation and evaluations keep to `arguments`.
        module: that registers the environment, imported before it is made again; "" for the environments of textmdp.
    """

    env_id: str
    arguments: dict[str, Any]
    seed: int = 0
    network: NetworkConfig = field(default_factory=NetworkConfig)
    imitation: ImitationConfig = field(default_factory=ImitationConfig)
    training: Config = field(default_factory=Config)
    evaluation: EvalConfig = field(default_factory=EvalConfig)
    curriculum: CurriculumConfig = field(default_factory=CurriculumConfig)
    module: str = ""

    def held_out(self) -> dict[str, Any]:
        """Return the arguments of the environment for evaluations."""
        return held_out(self.env_id, self.arguments)

    def settings(self) -> dict[str, Any]:
        """Return all options but the seed in one flat dictionary, as config.json holds them."""
        imitation = {f"imitation_{name}": value for name, value in asdict(self.imitation).items() if name != "seed"}
        training = {name: value for name, value in asdict(self.training).items() if name != "seed"}
        curriculum = {f"curriculum_{name}": value for name, value in asdict(self.curriculum).items()}
        return {**training, **imitation, **asdict(self.network), **asdict(self.evaluation), **curriculum}


def takes(env_id: str, argument: str) -> bool:
    """Return True if the task of a token-level id has a constructor argument of this name."""
    return argument in task_arguments(TASKS[env_id.removesuffix("-v0")])


def held_out(env_id: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments with the test split, if the task has splits; otherwise as they are."""
    return {**arguments, "split": "test"} if takes(env_id, "split") else arguments
