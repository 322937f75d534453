"""Advantage estimators of several signatures as functions of one kind, which the referee calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.algorithms.advantages import time_steps
from textmdp.agents.algorithms.objectives import OBJECTIVES, AdvantageInputs, token_weights
from textmdp.agents.credit.prefix_tree import Floats, Ints

#: The names of the arguments of a plain function, in their order.
PLAIN = ("rewards", "mask", "turns", "groups", "gamma")


@dataclass(frozen=True)
class Batch:
    """A batch of B episodes of T positions, as estimators take it.

    Attributes:
        rewards: (B, T), on the tokens that earned them.
        mask: (B, T) bool, the policy's tokens.
        turns: (B, T), the turn of each of the policy's tokens; -1 elsewhere.
        groups: (B,), equal numbers for the episodes of a group.
        gamma: γ.
        values: (B, T), V of the state before each token, for estimators that need it.
        last_values: (B,), V of the state after each episode: 0, since all of them terminate.
    """

    rewards: Floats
    mask: NDArray[np.bool_]
    turns: Ints
    groups: Ints
    gamma: float
    values: Floats
    last_values: Floats


@dataclass(frozen=True)
class Estimator:
    """An advantage estimator.

    Attributes:
        name: for reports.
        function: maps a `Batch` to advantages, (B, T).
        takes_gamma: whether it discounts.
        takes_values: whether it needs V.
    """

    name: str
    function: Callable[[Batch], Floats]
    takes_gamma: bool
    takes_values: bool

    def __call__(self, batch: Batch) -> Floats:
        """The advantages of a batch, (B, T).

        Raises:
            ValueError: the function returns another shape, or numbers that are not finite.
        """
        found = np.asarray(self.function(batch), np.float64)
        if found.shape == batch.mask.shape[:1]:
            found = np.where(batch.mask, found[:, None], 0.0)
        if found.shape != batch.mask.shape:
            raise ValueError(
                f"{self.name} returns the shape {found.shape} for a batch of {batch.mask.shape}: advantages are "
                "(B, T), or (B,) for a number an episode"
            )
        if not np.isfinite(found[batch.mask]).all():
            raise ValueError(f"{self.name} returns {found[batch.mask]} for the rewards {batch.rewards[batch.mask]}")
        return found


def estimator_of(source: str | Callable[..., Any] | Estimator, discount_unit: str = "tokens") -> Estimator:
    """An estimator from what users have.

    Args:
        source: one of
            - a row of `OBJECTIVES` by name, its token weights times B included;
            - a plain function `f(rewards, mask, turns, groups, gamma)` of arrays, which may leave out later arguments
              or name `values` and `last_values`, returning (B, T) or (B,);
            - TRL's shape, `f(rewards, group_size)` of `rewards` (B,), returning (B,) or (B, T): its second argument is
              named `group_size` or `num_generations`;
            - verl's, `f(token_level_rewards, response_mask, index, …)` of tensors, returning advantages and returns.
        discount_unit: of the rows of `OBJECTIVES`: "tokens" or "turns".

    Raises:
        ValueError: an unknown row.
        TypeError: none of these signatures.
    """
    if isinstance(source, Estimator):
        return source
    if isinstance(source, str):
        return _own_row(source, discount_unit)
    name = getattr(source, "__name__", type(source).__name__)
    parameters = inspect.signature(source).parameters
    names = list(parameters)
    if "token_level_rewards" in names and "response_mask" in names:
        return _of_verl(name, source, names)
    if len(names) >= 2 and names[0] == "rewards" and names[1] in ("group_size", "num_generations"):
        return _of_trl(name, source, "Tensor" in str(parameters["rewards"].annotation))
    if names[:2] == ["rewards", "mask"]:
        known = (*PLAIN, "values", "last_values")
        needed = [n for n in names if n in known]
        unknown = [n for n, p in parameters.items() if n not in known and p.default is p.empty]
        if unknown:
            raise TypeError(f"{name} needs the arguments {unknown}; the referee has {', '.join(known)}")

        def plain(batch: Batch) -> Floats:
            return source(**{n: getattr(batch, n) for n in needed})

        return Estimator(name, plain, "gamma" in needed, "values" in needed)
    if len(names) == len(PLAIN):
        return Estimator(name, lambda batch: source(*(getattr(batch, n) for n in PLAIN)), True, False)
    raise TypeError(
        f"{name}({', '.join(names)}) has no signature that the referee knows: f(rewards, mask, turns, groups, gamma), "
        "f(rewards, group_size), or f(token_level_rewards, response_mask, index)"
    )


def _own_row(name: str, discount_unit: str) -> Estimator:
    if name not in OBJECTIVES:
        raise ValueError(f"there is no row {name!r} in the table of algorithms: {', '.join(OBJECTIVES)}")
    row = OBJECTIVES[name]

    def function(batch: Batch) -> Floats:
        inputs = AdvantageInputs(
            rewards=batch.rewards,
            mask=batch.mask,
            time=time_steps(batch.mask, batch.turns.astype(np.int32), discount_unit),
            groups=batch.groups,
            turns=batch.turns,
            greedy_returns=np.zeros(len(batch.mask)),  # any constant: its value doesn't depend on the episode
            values=batch.values,
            last_values=batch.last_values,
        )
        advantages = row.normalize(row.advantages(inputs, batch.gamma), batch.mask)
        return advantages * token_weights(batch.mask, row.aggregation, 1.0) * len(batch.mask)

    return Estimator(name, function, True, row.has_value)


def _of_trl(name: str, source: Callable[..., Any], tensors: bool) -> Estimator:
    def function(batch: Batch) -> Floats:
        returns: Any = batch.rewards.sum(1)
        if tensors:
            import torch

            returns = torch.from_numpy(returns)
        found = np.asarray(source(returns, len(returns)), np.float64)
        if found.ndim == 2 and found.shape[1] != batch.mask.shape[1]:
            spread = np.zeros(batch.mask.shape)
            for row, own in enumerate(batch.mask):
                spread[row, own] = found[row, : own.sum()]
            return spread
        return found

    return Estimator(name, function, False, False)


def _of_verl(name: str, source: Callable[..., Any], names: list[str]) -> Estimator:
    def function(batch: Batch) -> Floats:
        import torch

        first = int(batch.mask.any(0).argmax())  # verl's rows begin with the response
        arguments: dict[str, Any] = {
            "token_level_rewards": torch.from_numpy(batch.rewards[:, first:].copy()),
            "response_mask": torch.from_numpy(batch.mask[:, first:].astype(np.float64)),
            "index": batch.groups.astype(str).astype(object),
            "gamma": batch.gamma,
            "lam": 1.0,
            "values": torch.from_numpy(batch.values[:, first:].copy()),
            "config": None,
        }
        advantages, _ = source(**{n: arguments[n] for n in names if n in arguments})
        return np.pad(advantages.numpy(), ((0, 0), (first, 0)))

    return Estimator(name, function, "gamma" in names, "values" in names)
