"""Policies on a prefix tree: tables, functions, scripted agents and language models, as probabilities of its edges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from textmdp.agents.credit.prefix_tree import Floats, PrefixTree
from textmdp.agents.rollouts.scripted import CarelessExpertAgent, ExpertAgent, NoisyExpertAgent, RandomAgent

if TYPE_CHECKING:
    from textmdp.agents.inference.sampler import LanguageModelAgent
    from textmdp.agents.models.language_model import LanguageModel

#: See `probabilities_of`.
Policy: TypeAlias = (
    "str | NDArray[Any] | Mapping[tuple[int, ...], ArrayLike] | Callable[[list[int]], ArrayLike] | RandomAgent "
    "| ExpertAgent | LanguageModel | LanguageModelAgent"
)
_ROUNDING = 1e-9


def probabilities_of(tree: PrefixTree, policy: Policy) -> Floats:
    """The probability of each edge given its prefix, (E,).

    Args:
        tree: the prefixes.
        policy: "uniform"; (E,) probabilities; a table from the tokens of a prefix, a tuple, to (V,) probabilities; a
            function of these tokens, a list, that returns (V,) probabilities; `RandomAgent`, `ExpertAgent` or
            `NoisyExpertAgent`; a `LanguageModel`, or a `LanguageModelAgent` with its temperature. A language model is
            restricted to the tree's tokens, as the agent with `grammar=True` is.

    Raises:
        TypeError: it is none of these, or a `CarelessExpertAgent`, which keeps its plans in mind.
        ValueError: probabilities don't add up to 1, or lie on tokens that aren't legal.
    """
    if isinstance(policy, str):
        if policy != "uniform":
            raise ValueError(f"policy={policy!r} is no policy by name: there is 'uniform'")
        return _uniform(tree)
    if isinstance(policy, np.ndarray):
        return _checked(tree, policy)
    if isinstance(policy, RandomAgent):
        return _uniform(tree)
    if isinstance(policy, CarelessExpertAgent):
        raise TypeError("a CarelessExpertAgent is no function of the prefix: it plans a mistake for a whole turn")
    if isinstance(policy, NoisyExpertAgent):
        return (1 - policy._error_rate) * _expert(tree) + policy._error_rate * _uniform(tree)
    if isinstance(policy, ExpertAgent):
        return _expert(tree)
    if isinstance(policy, Mapping):
        return _from_function(tree, lambda tokens: policy[tuple(tokens)])
    model: Any = getattr(policy, "model", policy)
    if hasattr(model, "network"):
        from textmdp.agents.credit.network import network_probabilities  # torch

        greedy = getattr(policy, "greedy", False)
        return network_probabilities(tree, model, temperature=getattr(policy, "temperature", 1.0), greedy=greedy)
    if callable(policy):
        return _from_function(tree, policy)
    raise TypeError(f"{type(policy).__name__} is no policy: give a table, a function, an agent or a language model")


def _uniform(tree: PrefixTree) -> Floats:
    counts = np.diff(tree.first_edge)
    return np.repeat(1 / counts, counts)


def _checked(tree: PrefixTree, probabilities: NDArray[Any]) -> Floats:
    if probabilities.shape != (tree.num_edges,):
        raise ValueError(f"probabilities {probabilities.shape} must be one for each edge, ({tree.num_edges},)")
    sums = np.add.reduceat(probabilities.astype(np.float64), tree.first_edge[:-1])
    worst = int(np.abs(sums - 1).argmax())
    if abs(sums[worst] - 1) > 1e-6 or probabilities.min() < 0:
        raise ValueError(f"the probabilities after {tree.text(worst)!r} must be at least 0 and add up to 1")
    return probabilities / np.repeat(sums, np.diff(tree.first_edge))


def _from_function(tree: PrefixTree, function: Callable[[list[int]], ArrayLike]) -> Floats:
    found = np.empty(tree.num_edges)
    for prefix in range(tree.num_prefixes):
        edges = tree.edges(prefix)
        row = np.asarray(function(tree.tokens(prefix)), np.float64)
        found[edges] = row[tree.action[edges]]
        if abs(row.sum() - found[edges].sum()) > _ROUNDING:
            raise ValueError(
                f"the policy gives {row.sum() - found[edges].sum():g} of its probability to tokens that are not legal "
                f"after {tree.text(prefix)!r}; legal are {tree.action[edges].tolist()}"
            )
    return _checked(tree, found)


def _expert(tree: PrefixTree) -> Floats:
    """The demonstrations of the task, which the prefix must determine."""
    mdp, chosen, rng = tree.mdp, np.zeros(tree.num_edges), np.random.default_rng(0)
    plans: dict[int, list[int]] = {}
    for prefix, belief in tree.beliefs.items():
        answers = {mdp.task.demonstrate(particle.state, rng) for particle in belief}
        if len(answers) > 1:
            raise ValueError(
                f"the expert answers {sorted(answers)} after {tree.text(prefix)!r}, by a state that is hidden from a "
                "policy; it is no function of the prefix"
            )
        plans[prefix] = mdp.tokenizer.encode(answers.pop(), errors="replace")
    for prefix, (start, written) in enumerate(zip(tree.turn_start.tolist(), tree.written.tolist(), strict=True)):
        plan = plans[start]
        chosen[tree.edge(prefix, plan[written] if written < len(plan) else mdp.tokenizer.end_id)] = 1.0
    return chosen
