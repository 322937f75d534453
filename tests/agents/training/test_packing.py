"""Episodes packed behind shared openings: each token sees what it saw, and the network says what it said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import NETWORKS, vector
from toys import Echo

from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.training.packing import pack, pack_sequences
from textmdp.envs.core.episode import ENVIRONMENT, PADDING, POLICY

WIDE = 1 << 20  # a network beside which attention takes no time


def episodes(openings, rests, rng, words=range(1, 9)):
    """Left-aligned tokens and roles, (B, L): of each episode its opening, and the lengths of its turns thereafter."""
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


def check_layout(layout, tokens, roles):
    """Each token of an episode is there, and its segment lets it see what came before it in the episode, in order."""
    assert layout.segments[:, 1].sum() == len(layout.tokens) == layout.sizes.sum()
    assert layout.rows[0] == 0
    assert layout.rows[-1] == len(layout.segments)
    segment_of = np.repeat(np.arange(len(layout.segments)), layout.segments[:, 1])
    row_of = np.repeat(np.arange(len(layout.sizes)), np.diff(layout.rows))[segment_of]
    for row, places in enumerate(layout.places):
        length = int((roles[row] != PADDING).sum())
        assert layout.tokens[places[:length]].tolist() == tokens[row, :length].tolist()
        assert layout.positions[places[:length]].tolist() == list(range(length))
        assert len(set(row_of[places[:length]])) == 1
        for t, place in enumerate(places[:length]):
            begin, _, opening, shared = layout.segments[segment_of[place]]
            seen = [*range(opening, opening + shared), *range(begin, place + 1)]
            assert seen == places[: t + 1].tolist()


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=4), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 2), st.lists(st.integers(0, 4), max_size=3)), min_size=2, max_size=9),
)
def test_each_token_sees_its_episode_and_nothing_else(openings, drawn):
    rng = np.random.default_rng(0)
    tokens, roles = episodes([openings[k % len(openings)] for k, _ in drawn], [turns for _, turns in drawn], rng)
    for shared in (True, False):
        check_layout(pack_sequences(tokens, roles, shared), tokens, roles)
    packing = pack(tokens, roles, WIDE)
    if packing is None:
        return
    assert packing.tokens.numel() < tokens.numel()
    stop = packing.tokens.shape[1]
    for row, places in enumerate(packing.places.tolist()):
        length = int((roles[row] != PADDING).sum())
        assert packing.tokens.flatten()[places[:length]].tolist() == tokens[row, :length].tolist()
        assert packing.positions.flatten()[places[:length]].tolist() == list(range(length))
        for t in range(length):
            line, at = divmod(places[t], stop)
            seen = packing.mask[line, 0, at].nonzero()[:, 0] + line * stop
            assert seen.tolist() == places[: t + 1]
    assert packing.mask.any(-1).all()  # padding, too, attends to something: softmax of nothing is no number


def test_an_opening_is_laid_out_once():
    rng = np.random.default_rng(3)
    tokens, roles = episodes([[1, 2, 3]] * 4 + [[1, 2, 4]] * 2, [[2]] * 6, rng)
    assert len(pack_sequences(tokens, roles).tokens) == 3 + 4 * 2 + 3 + 2 * 2
    assert len(pack_sequences(tokens, roles, shared=False).tokens) == 6 * 5


def test_packs_only_what_is_worth_it():
    rng = np.random.default_rng(1)
    alike = episodes([[1, 2, 3, 4, 5, 6]] * 8, [[3]] * 8, rng)
    packing = pack(*alike, WIDE)
    assert packing.tokens.shape == (1, 6 + 8 * 3)
    assert pack(*alike, 1) is None  # attention to eight times the length costs more than it saves
    assert pack(*episodes([[1, 2, k] for k in range(8)], [[3]] * 8, rng), WIDE) is None  # nothing is shared
    assert pack(*episodes([[1]] * 8, [[30]] * 8, rng), WIDE) is None  # next to nothing is


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("network", NETWORKS)
def test_the_network_says_and_learns_the_same(network, attention):
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

    def told(packed):
        model.network.zero_grad()
        found = model.log_probs(tokens, roles, 0.7, hidden=True, packed=packed)
        real = (roles != PADDING)[..., None]
        ((found.log_probs * weights).sum() + (found.hidden * real).square().sum()).backward()
        gradient = torch.cat([w.grad.flatten() for w in model.network.parameters()])
        statistics = found.log_probs, found.entropy, found.every, found.hidden * real
        return *(tensor.detach() for tensor in statistics), gradient

    assert pack(tokens, roles, model.network.config.hidden_size) is not None
    for one, other in zip(told(True), told(False), strict=True):
        assert (one - other).norm() < 1e-5 * other.norm()
