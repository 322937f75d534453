"""The distributions that an agent drew the tokens of an episode from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.rollouts.agent import Agent
from textmdp.agents.rollouts.scripted import ExpertAgent, RandomAgent
from textmdp.envs.core.episode import Snapshot
from textmdp.envs.core.mdp import TextMDP

Floats = NDArray[np.float64]


def legal_tokens(mdp: TextMDP[Any], snapshot: Snapshot[Any], grammar: bool = True) -> NDArray[np.bool_]:
    """The tokens that a policy may write next, (V,) bool: those of the grammar, or all usable ones."""
    if not grammar:
        return mdp.usable
    partial = mdp.tokenizer.decode(snapshot.tokens[snapshot.turn_start :].tolist())
    return mdp.action_mask(snapshot.episode, partial)


def distributions(
    agent: Agent, mdp: TextMDP[Any], snapshots: Sequence[Snapshot[Any]], actions: Sequence[int]
) -> Floats:
    """The probability of every token before each of the policy's tokens, (T, V).

    Args:
        agent: a `RandomAgent`, an `ExpertAgent`, or a `LanguageModelAgent`.
        mdp: the rules.
        snapshots: (T + 1,), the states before each token, and the end.
        actions: (T,), the tokens.

    Raises:
        TypeError: the agent is another.
    """
    before = snapshots[:-1]
    if isinstance(agent, RandomAgent):
        return np.array([_uniform(mdp, snapshot) for snapshot in before])
    if type(agent) is ExpertAgent:  # others draw mistakes
        return np.eye(mdp.tokenizer.vocab_size)[list(actions)]
    if hasattr(agent, "model"):
        return _of_model(agent, mdp, snapshots)
    raise TypeError(f"the probabilities of {type(agent).__name__} are unknown: give random, expert or a language model")


def _uniform(mdp: TextMDP[Any], snapshot: Snapshot[Any]) -> Floats:
    legal = legal_tokens(mdp, snapshot)
    return legal / legal.sum()


def _of_model(agent: Any, mdp: TextMDP[Any], snapshots: Sequence[Snapshot[Any]]) -> Floats:
    """One pass over the whole episode."""
    import torch  # seconds, which scripted agents do without

    end, size = snapshots[-1], mdp.tokenizer.vocab_size
    allowed = None
    if agent.grammar and mdp.has_grammar:
        masks = np.ones((len(end.tokens), size), bool)
        for snapshot in snapshots[:-1]:
            masks[len(snapshot.tokens)] = legal_tokens(mdp, snapshot)
        allowed = torch.from_numpy(masks)[None]
    with torch.inference_mode():
        found = agent.model.log_probs(
            torch.from_numpy(end.tokens)[None], torch.from_numpy(end.roles)[None], agent.temperature, allowed
        )
    return found.full_log_probs[:, :size].double().exp().cpu().numpy()
