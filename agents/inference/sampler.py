"""A language model as an agent: tokens sampled in lock-step with a vector environment, from a key-value cache.

The network reads the new tokens of each row, most often one, and never the past again. The compiled network samples up
to the end of a turn in one call.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textmdp.agents.inference.compiled import CompiledLlamaForward
from textmdp.agents.inference.forward import make_forward
from textmdp.agents.inference.kv_cache import Cache, CacheView
from textmdp.agents.models.language_model import NEVER, LanguageModel
from textmdp.agents.rollouts.agent import Action
from textmdp.envs.views.vector_env import TokenVectorEnv

#: Tokens that are read at once: their activations stay in the processor's cache.
CHUNK = 1024
#: The most tokens that the compiled network samples for a row in one call; fewer for slow tasks, which begin to grade a
#: response as soon as it is whole.
TOKENS_PER_CALL, TOKENS_PER_CALL_OF_SLOW_TASKS = 64, 4


class LanguageModelAgent:
    """Samples tokens from a language model, or takes the most likely ones.

    Keeps a cache for each row that `act` is asked about. If the forward pass takes rows at any slot
    (`supports_arbitrary_slots`), a row's slot is its number; otherwise the running rows are packed together.

    Args:
        model: the policy; its weights are read when episodes begin.
        temperature: divides the logits.
        greedy: take the most likely token.
        seed: of the sampling.
        grammar: sample from the tokens that the task's grammar allows, if it has one.
        top_p: sample from the most likely tokens whose probabilities first add up to this; 1 for all. For evaluation:
            training would need the same restriction.
        top_k: sample from as many of the most likely tokens; 0 for all.
    """

    def __init__(
        self,
        model: LanguageModel,
        *,
        temperature: float = 1.0,
        greedy: bool = False,
        seed: int = 0,
        grammar: bool = False,
        top_p: float = 1.0,
        top_k: int = 0,
    ) -> None:
        if not 0.0 < top_p <= 1.0:
            raise ValueError(f"top_p={top_p} must lie in (0, 1]; 1 samples from all tokens")
        if top_k < 0:
            raise ValueError(f"top_k={top_k} must be at least 0; 0 samples from all tokens")
        self.top_p, self.top_k = top_p, top_k
        if temperature <= 0:
            raise ValueError(f"temperature={temperature} must be above 0; for the most likely tokens use greedy=True")
        self.model, self.temperature, self.greedy, self.grammar = model, temperature, greedy, grammar
        self.generator = torch.Generator(model.device).manual_seed(seed)
        self._make_cache(0, 0)

    def begin(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> None:
        """Forget the past of these rows, (m,): their episodes are new, or were restored."""
        limit = self.model.context_length
        if limit is not None and limit < envs.mdp.context_length:
            raise ValueError(
                f"the environment's context_length={envs.mdp.context_length} is beyond the {limit} positions of the "
                "network: make it shorter, or the network longer"
            )
        if not envs.lengths[rows].all():
            raise ValueError("an episode opens with no token: a language model needs one; look at the task's opening")
        if (self._cache.slots, self._cache.length) != envs.tokens.shape:
            self._make_cache(*envs.tokens.shape)
        self._rows[np.isin(self._rows, rows)] = -1
        self._cached_lengths[rows] = 0
        self._forward = make_forward(self.model.network, envs.mdp.context_length)

    def _make_cache(self, slots: int, length: int) -> None:
        self._cache = Cache(slots, length, self.model.device)
        self._rows = np.zeros(0, np.int64)  # packed rows, in the order of their slots; -1 for none
        self._cached_lengths = np.zeros(slots, np.int64)  # (n,) tokens of each row that the cache holds
        self._cached_tokens = np.zeros((slots, length), np.int64)  # (n, T) these, where several are sampled at once

    @torch.inference_mode()
    def branch(self, sources: NDArray[np.int64], targets: NDArray[np.int64]) -> None:
        """Let rows go on from the cache of others; call it after `envs.branch(sources, targets)`, (m,) each.

        Targets of a source that holds no slot are read anew when `act` is asked about them.
        """
        sources, targets = np.asarray(sources), np.asarray(targets)
        if self._forward.supports_arbitrary_slots:
            self._cache.copy(sources, targets)
            self._cached_tokens[targets] = self._cached_tokens[sources]
        else:
            self._branch_packed(sources, targets)
        self._cached_lengths[targets] = self._cached_lengths[sources]

    @torch.inference_mode()
    def act(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> Action:
        """The next token of each of these rows, (m,); up to the end of its turn if the network is compiled.

        Log-probabilities are those of the policy at this temperature.
        """
        grammar = self.grammar and envs.mdp.has_grammar
        likeliest = not self.greedy and (self.top_p < 1.0 or self.top_k > 0)
        if isinstance(self._forward, CompiledLlamaForward) and envs.can_append and not grammar and not likeliest:
            return self._sample_turns(self._forward, envs, rows)
        if self._forward.supports_arbitrary_slots:
            logits = self._logits(envs, rows, rows)  # (m, V)
        else:
            self._pack(rows)
            held = self._rows  # (m,) the same rows in the order of their slots
            logits = self._logits(envs, held, slice(len(held)))
            place = np.empty(envs.num_envs, np.int64)
            place[held] = np.arange(len(held))
            logits = logits[torch.from_numpy(place[rows]).to(logits.device)]  # in the order of the arguments
        allowed = envs.masks_of(rows) if grammar else None
        restriction = None if allowed is None else torch.from_numpy(allowed).to(logits.device)
        log_probs = self.model.distribution(logits, self.temperature, restriction)  # (m, V)
        if likeliest:
            log_probs = keep_likeliest(log_probs, self.top_p, self.top_k)
        tokens = log_probs.argmax(-1) if self.greedy else self._sample(log_probs)
        chosen = log_probs.gather(1, tokens[:, None])[:, 0]
        return Action(tokens.cpu().numpy(), log_probs=chosen.cpu().numpy(), allowed=allowed)

    def _sample(self, log_probs: Tensor) -> Tensor:
        """A token of each row, (m,): the first whose cumulative probability is above a uniform number.

        That number is less than 1 and its product with the sum less than the sum, so a token of probability 0 is never
        chosen.
        """
        bounds = log_probs.exp().cumsum(-1)  # (m, V)
        uniform = torch.rand(len(bounds), 1, generator=self.generator, device=bounds.device)
        return torch.searchsorted(bounds, uniform * bounds[:, -1:], right=True)[:, 0]

    def _sample_turns(
        self, forward: CompiledLlamaForward, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]
    ) -> Action:
        """The next tokens of these rows, (m, K), up to the end of the turn or the most tokens of a call."""
        others, last = np.ones(envs.num_envs, bool), envs.lengths[rows] - 1  # (n,), (m,)
        others[rows] = False
        self._cached_lengths[others] = 0
        # A caller may have appended other tokens than the last ones: the cache is valid up to the first of these.
        same = self._cached_tokens[rows] == envs.tokens[rows]  # (m, T)
        common = np.where(same.all(1), same.shape[1], same.argmin(1))
        self._cached_lengths[rows] = np.minimum(np.minimum(self._cached_lengths[rows], common), last)
        self._read(envs.tokens, rows, rows, last)
        budgets = _tokens_left(envs, rows)
        shape = len(rows), int(budgets.max())
        tokens, lengths, log_probs = forward.generate(
            CacheView(self._cache, rows, last[:, None]),
            torch.from_numpy(envs.tokens[rows, last][:, None]),
            budgets,
            self.model.forbidden_tokens,
            envs.mdp.tokenizer.end_id,
            self.temperature,
            None if self.greedy else torch.rand(shape, generator=self.generator),
        )
        self._cached_tokens[rows] = envs.tokens[rows]
        columns = np.arange(shape[1])
        counted = columns < lengths[:, None]  # (m, K)
        cells = (rows * envs.tokens.shape[1] + last + 1)[:, None] + columns
        self._cached_tokens.reshape(-1)[cells[counted]] = tokens[counted]
        self._cached_lengths[rows] = last + lengths  # all but the last token, which the network has yet to read
        return Action(tokens, lengths, log_probs)

    def _logits(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64], slots: NDArray[np.int64] | slice) -> Tensor:
        """Read the new tokens of rows, (m,), in these slots; logits of the next token, (m, V)."""
        last = envs.lengths[rows] - 1
        self._read(envs.tokens, rows, np.arange(self._cache.slots)[slots], last)
        view = CacheView(self._cache, slots, last[:, None])
        tokens = torch.from_numpy(envs.tokens[rows, last][:, None])
        self._cached_lengths[:] = 0  # rows that are not asked about lose their cache
        self._cached_lengths[rows] = last + 1
        return self._forward.predict(view, tokens.to(self._cache.device))

    def _read(
        self,
        tokens: NDArray[np.int64],
        rows: NDArray[np.int64],
        slots: NDArray[np.int64],
        stops: NDArray[np.int64],
    ) -> None:
        """Read the new tokens of rows, (m,), in these slots, (m,), up to these positions, (m,)."""
        counts = stops - self._cached_lengths[rows]  # (m,)
        new = counts > 0
        if not new.any():
            return
        rows, slots, counts = rows[new], slots[new], counts[new]
        # Rows with fewer new tokens than K continue into padding, which is never attended to and overwritten in time.
        positions = self._cached_lengths[rows][:, None] + np.arange(counts.max())  # (m', K)
        positions = np.minimum(positions, tokens.shape[1] - 1)
        block = tokens[rows[:, None], positions]  # (m', K)
        first = same = np.arange(len(slots))
        if not positions[:, 0].any():  # prompts that rows share, as groups do, are read once
            _, first, same = np.unique(np.c_[block, counts], axis=0, return_index=True, return_inverse=True)
        for some in np.array_split(first, -(-len(first) * block.shape[1] // CHUNK)):
            view = CacheView(self._cache, slots[some], positions[some])
            self._forward.read(view, torch.from_numpy(block[some]).to(self._cache.device))
        if len(first) < len(slots):
            self._cache.copy(slots[first[same]], slots, block.shape[1])

    def _pack(self, rows: NDArray[np.int64]) -> None:
        """Give exactly these rows slots, 0 to m - 1: the last ones move to the slots of rows that are gone."""
        asked = np.zeros(len(self._cached_lengths) + 1, bool)  # the last one is for slots of no row, -1
        asked[rows] = True
        kept = asked[self._rows]
        count = int(kept.sum())
        if count < len(kept):
            holes, movers = np.flatnonzero(~kept[:count]), count + np.flatnonzero(kept[count:])
            self._cache.copy(movers, holes)
            self._rows[holes] = self._rows[movers]
            self._rows = self._rows[:count]
        if count < len(rows):
            fresh = np.setdiff1d(rows, self._rows, assume_unique=True)
            self._rows = np.concatenate([self._rows, fresh])
            self._cached_lengths[fresh] = 0

    def _branch_packed(self, sources: NDArray[np.int64], targets: NDArray[np.int64]) -> None:
        """Give the targets slots with copies of their sources' cache; targets of sources without a slot get none."""
        rows = np.full(self._cache.slots, -1)  # of all slots
        rows[: len(self._rows)] = self._rows
        slots = np.full(len(rows), -1)  # of all rows
        slots[rows[rows >= 0]] = np.flatnonzero(rows >= 0)
        rows[np.isin(rows, targets)] = -1
        held = slots[sources] >= 0
        sources, targets = sources[held], targets[held]
        free = np.flatnonzero(rows < 0)[: len(targets)]
        self._cache.copy(slots[sources], free)
        rows[free] = targets
        self._rows = rows[: max(len(self._rows), free.max(initial=-1) + 1)]


def keep_likeliest(log_probs: Tensor, top_p: float, top_k: int) -> Tensor:
    """Log-probabilities, (m, V), renormalised over the likeliest tokens of each row; `NEVER` for the others.

    Args:
        log_probs: (m, V).
        top_p: the likeliest tokens whose probabilities first add up to this are kept (nucleus sampling, Holtzman et al.
            2020, arXiv 1904.09751); the likeliest one always is.
        top_k: as many tokens are kept at most; 0 for any number.
    """
    ordered, order = log_probs.sort(-1, descending=True)
    before = ordered.exp().cumsum(-1) - ordered.exp()  # the probability of likelier tokens
    dropped = before >= top_p if top_p < 1.0 else torch.zeros_like(before, dtype=torch.bool)
    dropped[:, 0] = False
    if top_k:
        dropped[:, top_k:] = True
    ordered = ordered.masked_fill(dropped, NEVER).log_softmax(-1)
    return torch.empty_like(log_probs).scatter_(-1, order, ordered)


def _tokens_left(envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The most tokens to sample in one call for these rows, (m,): not beyond their turn or the context."""
    mdp, lengths = envs.mdp, envs.lengths[rows]
    left = np.minimum(envs.turn_starts[rows] + mdp.max_response_tokens, mdp.context_length) - lengths
    return np.minimum(left, TOKENS_PER_CALL_OF_SLOW_TASKS if mdp.task.slow else TOKENS_PER_CALL)
