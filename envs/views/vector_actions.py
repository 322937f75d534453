"""Checks of the actions that a vector environment is given."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from textmdp.envs.views.vector_rows import TokenRows


def check_started(state: TokenRows[Any]) -> None:
    """Raise `ResetNeeded` if there are no episodes yet."""
    if not state.episodes:
        raise gym.error.ResetNeeded("the environments have no episodes yet: call reset() first")


def check_ongoing(state: TokenRows[Any], rows: NDArray[np.int64]) -> None:
    """Raise `ResetNeeded` if the episode of one of these rows, (m,), is over."""
    over = rows[state.over[rows]]
    if len(over):
        raise gym.error.ResetNeeded(f"the episodes of rows {over.tolist()} are over: reset them, or leave them out")


def check_ids(tokens: NDArray[np.int64], vocab_size: int | NDArray[np.uint64]) -> None:
    """Raise a `ValueError` for token ids outside the vocabulary."""
    if np.count_nonzero(tokens.view(np.uint64) >= vocab_size):  # negative numbers are huge as unsigned ones
        raise ValueError(
            f"actions {tokens.min()}..{tokens.max()} are no tokens: the vocabulary is 0..{int(vocab_size) - 1}"
        )


def check_actions(actions: ArrayLike, count: int, vocab_size: int | NDArray[np.uint64]) -> NDArray[np.int64]:
    """The actions as int64, (count,); a `ValueError` if they are not `count` token ids."""
    actions = np.asarray(actions)
    if actions.shape != (count,) or actions.dtype.kind not in "iu":
        raise ValueError(f"actions must be {count} token ids, got {actions.dtype} of shape {actions.shape}")
    tokens = actions.astype(np.int64, copy=False)
    check_ids(tokens, vocab_size)
    return tokens


def check_block(
    state: TokenRows[Any], rows: ArrayLike, tokens: ArrayLike, lengths: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The arguments of `TokenVectorEnv.append` as int64; a `ValueError` or `ResetNeeded` if they break its rules."""
    rows, tokens, lengths = np.asarray(rows), np.asarray(tokens), np.asarray(lengths)
    num_rows, tokenizer = len(state.tokens), state.mdp.tokenizer
    if rows.ndim != 1 or lengths.shape != rows.shape or tokens.shape[:-1] != rows.shape or tokens.ndim != 2:
        raise ValueError(
            f"rows {rows.shape}, tokens {tokens.shape} and lengths {lengths.shape} must be (m,), (m, K) and (m,)"
        )
    if any(array.dtype.kind not in "iu" for array in (rows, tokens, lengths)):
        raise ValueError(
            f"rows, tokens and lengths must be whole numbers, got {rows.dtype}, {tokens.dtype}, {lengths.dtype}"
        )
    rows, tokens, lengths = (array.astype(np.int64, copy=False) for array in (rows, tokens, lengths))
    if len(np.unique(rows)) < len(rows) or (np.clip(rows, 0, num_rows - 1) != rows).any():
        raise ValueError(f"rows {rows.tolist()} must be numbers in 0..{num_rows - 1}, each once")
    check_ongoing(state, rows)
    if (np.clip(lengths, 1, tokens.shape[1]) != lengths).any():
        raise ValueError(f"lengths {lengths.tolist()} must lie in 1..{tokens.shape[1]}, the columns of tokens")
    columns = np.arange(tokens.shape[1])
    check_ids(tokens[columns < lengths[:, None]], tokenizer.vocab_size)
    # The furthest position that each turn may reach, (m,).
    limits = np.minimum(state.turn_starts[rows] + state.mdp.max_response_tokens, state.mdp.context_length)
    ends_early = ((tokens == tokenizer.end_id) & (columns < lengths[:, None] - 1)).any(1)
    early = ends_early | (state.lengths[rows] + lengths > limits)
    if early.any():
        raise ValueError(
            f"the turns of rows {rows[early].tolist()} end before the last of their {lengths[early].tolist()} "
            "tokens, by the end-of-turn token, the budget of the response or the context: append no more than that"
        )
    return rows, tokens, lengths
