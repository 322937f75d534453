"""Packed episodes: tokens attend to their own episode, and the network computes the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import NETWORKS, vector
from toys import Echo

from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.models.packing import MAX_SHARED_ROW, pack_sequences, unique_rows
from textmdp.envs.core.episode import ENVIRONMENT, PADDING, POLICY

WIDE = 1 << 20  # a network beside which attention takes no time


def episodes(openings, rests, rng, words=range(1, 9)):
    """Left-aligned tokens and roles, (B, T), from the prompt of each episode and the lengths of its turns."""
    rows = []
    for opening, turns in zip(openings, rests, strict=True):
        ids, roles = [*opening], [ENVIRONMENT] * len(opening)
        for turn, length in enumerate(turns):
            ids += rng.integers(words.start, words.stop, length).tolist()
            roles += [(POLICY, ENVIRONMENT)[turn % 2]] * length
        rows.append((ids, roles))
    longest = max(len(ids) for ids, _ in rows)
    padded = [[(*part, *[0] * (longest - len(part))) for part in row] for row in rows]
    tokens, roles = (torch.tensor(part) for part in zip(*padded, strict=True))
    return tokens, roles


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=4), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 2), st.lists(st.integers(0, 4), max_size=3)), min_size=2, max_size=9),
)
def test_each_token_attends_to_its_episode_and_nothing_else(openings, drawn):
    rng = np.random.default_rng(0)
    tokens, roles = episodes([openings[k % len(openings)] for k, _ in drawn], [turns for _, turns in drawn], rng)
    packing = pack_sequences(tokens, roles, WIDE)
    if packing is None:
        return
    assert packing.tokens.numel() < tokens.numel()
    stop = packing.tokens.shape[1]
    for row, index in enumerate(packing.token_index.tolist()):
        length = int((roles[row] != PADDING).sum())
        assert packing.tokens.flatten()[index[:length]].tolist() == tokens[row, :length].tolist()
        assert packing.positions.flatten()[index[:length]].tolist() == list(range(length))
        for t in range(length):
            line, at = divmod(index[t], stop)
            attended = packing.mask[line, 0, at].nonzero()[:, 0] + line * stop
            assert attended.tolist() == index[: t + 1]
    assert packing.mask.any(-1).all()  # padding attends to something, since the softmax of nothing is NaN


def test_a_shared_prompt_is_packed_once():
    rng = np.random.default_rng(3)
    tokens, roles = episodes([[1, 2, 3]] * 4 + [[1, 2, 4]] * 2, [[2]] * 6, rng)
    packing = pack_sequences(tokens, roles, WIDE)
    assert packing.tokens.shape == (1, (3 + 4 * 2) + (3 + 2 * 2))


def test_short_episodes_share_a_row_and_long_rows_are_bounded():
    rng = np.random.default_rng(3)
    tokens, roles = episodes([[k] for k in range(1, 9)], [[9]] + [[2]] * 7, rng)  # one long one, nothing shared
    packing = pack_sequences(tokens, roles, 16)
    assert packing.tokens.numel() < 0.5 * tokens.numel()
    assert int((roles != PADDING).sum()) <= packing.tokens.numel()
    tokens, roles = episodes([[1, 2]] * 8, [[MAX_SHARED_ROW]] + [[300]] * 7, rng)
    packing = pack_sequences(tokens, roles, 128)
    assert packing.tokens.shape[1] <= MAX_SHARED_ROW + 2


def test_unique_rows_are_those_that_are_equal_in_every_array():
    first, second = np.array([[1, 2], [1, 2], [3, 4], [1, 2]]), np.array([5.0, 6.0, 5.0, 5.0])
    index, inverse = unique_rows(first, None, second)
    assert (index.tolist(), inverse.tolist()) == ([0, 1, 2], [0, 1, 2, 0])
    index, inverse = unique_rows(first)
    assert (index.tolist(), inverse.tolist()) == ([0, 2], [0, 0, 1, 0])


def test_packs_only_what_is_worth_it():
    rng = np.random.default_rng(1)
    alike = episodes([[1, 2, 3, 4, 5, 6]] * 8, [[3]] * 8, rng)
    packing = pack_sequences(*alike, WIDE)
    assert packing.tokens.shape == (1, 6 + 8 * 3)
    assert pack_sequences(*alike, 1) is None  # attention to eight times the length costs more than it saves
    assert pack_sequences(*episodes([[1, 2, k] for k in range(8)], [[3]] * 8, rng), WIDE) is None  # nothing is shared
    assert pack_sequences(*episodes([[1]] * 8, [[30]] * 8, rng), WIDE) is None  # next to nothing is


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("network", NETWORKS)
def test_the_network_computes_and_learns_the_same(network, attention):
    tokenizer = vector(Echo()).mdp.tokenizer
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LanguageModel(NETWORKS[network](tokenizer.vocab_size), tokenizer)
    model.network.set_attn_implementation(attention)
    words = (~model.forbidden_tokens).nonzero()[:, 0]
    rng = np.random.default_rng(2)
    openings = [[1, 2, 3, 4, 5, 6, 7]] * 5 + [[2, 2, 3, 4, 5]] * 4 + [[8, 8, 8, 8, 8, 8]]
    turns = [rng.integers(1, 4, rng.choice([1, 3])).tolist() for _ in openings]
    tokens, roles = episodes(openings, turns, rng)
    tokens = torch.where(roles == PADDING, 0, words[tokens])
    weights = torch.from_numpy(rng.normal(size=tokens.shape)).float()

    def compute(packed):
        model.network.zero_grad()
        found = model.log_probs(tokens, roles, 0.7, hidden=True, packed=packed)
        real = (roles != PADDING)[..., None]
        ((found.log_probs * weights).sum() + (found.hidden * real).square().sum()).backward()
        gradient = torch.cat([w.grad.flatten() for w in model.network.parameters()])
        statistics = found.log_probs, found.entropy, found.full_log_probs, found.hidden * real
        return *(tensor.detach() for tensor in statistics), gradient

    assert pack_sequences(tokens, roles, model.network.config.hidden_size) is not None
    for one, other in zip(compute(True), compute(False), strict=True):
        assert (one - other).norm() < 1e-5 * other.norm()
