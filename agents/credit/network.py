"""A language model on a prefix tree: probabilities of all edges through a cache, and the exact policy gradient."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from textmdp.agents.credit.prefix_tree import Floats, Ints, PrefixTree
from textmdp.agents.inference.forward import make_forward
from textmdp.agents.inference.kv_cache import Cache, CacheView
from textmdp.agents.models.language_model import LanguageModel

#: Prefixes of one pass, and the most bytes of the cache.
CHUNK, CACHE_BYTES = 1024, 2**29


@torch.inference_mode()
def network_probabilities(
    tree: PrefixTree, model: LanguageModel, temperature: float = 1.0, greedy: bool = False
) -> Floats:
    """The probability of each edge given its prefix, (E,), of a language model restricted to the tree's tokens.

    Every prefix is one pass of its last token: the tree is walked depth first, some prefixes of a level at a time, and
    the cache holds a copy of their pasts for each level.

    Args:
        tree: the prefixes.
        model: the policy.
        temperature: divides the logits.
        greedy: whether the most likely token has probability 1.
    """
    length = int(tree.length.max())
    if model.context_length is not None and length > model.context_length:
        raise ValueError(f"prefixes have up to {length} tokens, and the network {model.context_length} positions")
    walk = _Walk(tree, model, length)
    found = np.empty(tree.num_edges)
    for prefixes, logits in walk.logits():
        log_probs = model.distribution(logits, temperature).double().cpu().numpy()  # (m, V)
        first, counts = tree.first_edge[prefixes], np.diff(tree.first_edge)[prefixes]
        places = np.concatenate([[0], counts.cumsum()[:-1]])
        edges = np.arange(counts.sum()) - np.repeat(places - first, counts)
        chosen = log_probs[np.repeat(np.arange(len(prefixes)), counts), tree.action[edges]]
        highest = np.maximum.reduceat(chosen, places)
        if greedy:
            weights = (chosen == np.repeat(highest, counts)).astype(np.float64)
            ranks = weights.cumsum() - np.repeat((weights.cumsum() - weights)[places], counts)
            found[edges] = weights * (ranks == 1)  # the first of equals
        else:
            weights = np.exp(chosen - np.repeat(highest, counts))
            found[edges] = weights / np.repeat(np.add.reduceat(weights, places), counts)
    return found


def network_gradient(tree: PrefixTree, model: LanguageModel, logit_gradient: Floats, chunk: int = 256) -> list[Tensor]:
    """The exact gradient of the expected return in a language model's weights, one tensor for each trainable weight.

    It is `Σ_s Σ_a γ^t d(s) π(a|s) A(s, a) ∇ log π(a|s)`; `ExactValues.logit_gradient` holds the factors. Each prefix is
    read as a whole, so this is for small trees.

    Args:
        tree: the prefixes.
        model: the policy, as the values were computed for.
        logit_gradient: (E,), `ExactValues.logit_gradient`, or the expected gradient of an estimator in its place.
        chunk: prefixes of one pass.
    """
    weights = model.trainable()
    total = [torch.zeros_like(weight) for weight in weights]
    rows = [tree.tokens(prefix) for prefix in range(tree.num_prefixes)]
    for some in np.array_split(np.arange(tree.num_prefixes), -(-tree.num_prefixes // chunk)):
        lengths = tree.length[some]
        tokens = torch.zeros(len(some), int(lengths.max()), dtype=torch.int64)
        for place, prefix in enumerate(some.tolist()):
            tokens[place, : len(rows[prefix])] = torch.tensor(rows[prefix])
        logits = model.network(input_ids=tokens.to(model.device), use_cache=False).logits
        last = logits[torch.arange(len(some)), torch.from_numpy(lengths - 1).to(model.device)]  # (m, V)
        edges = slice(tree.first_edge[some[0]], tree.first_edge[some[-1] + 1])
        allowed = torch.zeros(last.shape, dtype=torch.bool, device=model.device)
        row = torch.from_numpy(tree.edge_prefix[edges] - some[0]).to(model.device)
        action = torch.from_numpy(tree.action[edges]).to(model.device)
        allowed[row, action] = True
        log_probs = model.distribution(last, allowed=allowed)[row, action]  # (e,)
        factors = torch.from_numpy(logit_gradient[edges]).to(model.device, log_probs.dtype)
        gradients = torch.autograd.grad((factors * log_probs).sum(), weights, allow_unused=True)
        for sums, gradient in zip(total, gradients, strict=True):
            if gradient is not None:
                sums += gradient
    return total


class _Walk:
    """Passes over all prefixes of a tree, depth first."""

    def __init__(self, tree: PrefixTree, model: LanguageModel, length: int) -> None:
        self.tree, self.model = tree, model
        self.forward = make_forward(model.network, length)
        widths = np.diff(tree.levels)
        config = model.network.config.get_text_config()
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        row_bytes = 2 * 4 * config.num_hidden_layers * heads * head_dim * length
        self.chunk = max(1, min(CHUNK, CACHE_BYTES // (row_bytes * len(widths))))
        self.first_slot = np.concatenate([[0], np.minimum(widths, self.chunk).cumsum()])  # of each level
        self.cache = Cache(int(self.first_slot[-1]), length, model.device)
        order = np.argsort(tree.parent, kind="stable")  # children of a prefix side by side
        self.children = order[np.searchsorted(tree.parent[order], 0) :]
        counts = np.bincount(tree.parent[self.children], minlength=tree.num_prefixes)
        self.first_child = np.concatenate([[0], counts.cumsum()])

    def logits(self) -> Iterator[tuple[Ints, Tensor]]:
        """Prefixes, (m,), and the logits of their next token, (m, V)."""
        roots = np.arange(int(self.tree.levels[1]))
        stack = [(0, part, np.zeros(0, np.int64)) for part in self._parts(roots)]
        while stack:
            level, prefixes, sources = stack.pop()
            slots = self.first_slot[level] + np.arange(len(prefixes))
            yield prefixes, self._read(level, prefixes, sources, slots)
            counts = self.first_child[prefixes + 1] - self.first_child[prefixes]
            total = int(counts.sum())
            places = np.arange(total) - np.repeat(counts.cumsum() - counts - self.first_child[prefixes], counts)
            children, parents = self.children[places], np.repeat(slots, counts)
            for start in range(0, total, self.chunk):
                some = slice(start, start + self.chunk)
                stack.append((level + 1, children[some], parents[some]))

    def _parts(self, prefixes: Ints) -> list[Ints]:
        return [prefixes[start : start + self.chunk] for start in range(0, len(prefixes), self.chunk)]

    def _read(self, level: int, prefixes: Ints, sources: Ints, slots: Ints) -> Tensor:
        tree = self.tree
        before = np.zeros(len(prefixes), np.int64) if level == 0 else tree.length[tree.parent[prefixes]]
        new = tree.length[prefixes] - before  # (m,)
        if level:
            self.cache.copy(sources, slots, int(before.max()))
        where = slice(int(slots[0]), int(slots[-1]) + 1)
        block = np.zeros((len(prefixes), int(new.max())), np.int64)
        if level:
            block[:, 0] = tree.action[tree.parent_edge[prefixes]]
        for place in np.flatnonzero(tree.written[prefixes] == 0).tolist():
            tokens = tree.new_tokens(int(prefixes[place]))
            block[place, : len(tokens)] = tokens
        count = int(new.max()) - 1
        if count:
            # Rows with fewer new tokens continue into positions that are overwritten before anything attends to them.
            positions = np.minimum(before[:, None] + np.arange(count), self.cache.length - 1)
            view = CacheView(self.cache, where, positions)
            self.forward.read(view, torch.from_numpy(block[:, :count]).to(self.cache.device))
        last = before + new - 1
        token = block[np.arange(len(prefixes)), new - 1][:, None]
        view = CacheView(self.cache, where, last[:, None])
        return self.forward.predict(view, torch.from_numpy(token).to(self.cache.device))
