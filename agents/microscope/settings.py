"""Settings of the credit microscope."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Numbers of episodes and branches, and the discount."""

    group_size: int = 8
    """Episodes of a problem, which the baselines of groups compare."""
    samples: int = 32
    """Branches of each state, and of each alternative."""
    alternatives: int = 4
    """The most tokens that are compared at each position, the token itself among them."""
    gamma: float = 1.0
    """Discount factor γ."""
    gae_lambda: float = 0.95
    """λ of the algorithms with a value function."""
    discount_unit: str = "tokens"
    """Unit of time for γ and λ: "tokens" or "turns"."""
    max_prefixes: int = 200_000
    """The most prefixes of a task whose values are computed exactly; 0 for never."""
    seed: int = 0
    """Of the episodes and the branches."""

    def __post_init__(self) -> None:
        for name, least in (("group_size", 2), ("samples", 2), ("alternatives", 1), ("max_prefixes", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} must be at least {least}")
