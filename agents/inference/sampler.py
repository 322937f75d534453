"""A language model as an agent: tokens sampled in lock-step with a vector environment, from a key-value cache.

Each step runs the network over what is new in each row, most often one token, and never over the past again. A compiled
network draws whole responses at once, which it is asked for token by token.
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
from textmdp.agents.inference.lookahead import Lookahead
from textmdp.agents.models.language_model import LanguageModel
from textmdp.envs.views.vector_env import TokenVectorEnv

#: Tokens that are read at once: what they turn into on the way stays in the processor's own cache.
CHUNK = 1024


class LanguageModelAgent:
    """Samples from a language model, or takes its most likely tokens.

    Keeps a cache for each row that `act` is asked about. If the forward pass takes rows at any slot
    (`supports_arbitrary_slots`), a row's slot is its number; otherwise the running rows are packed together.

    Args:
        model: the policy; its weights are read when episodes begin.
        temperature: divides the logits.
        greedy: always the most likely token.
        seed: of the sampling.
        grammar: choose among the tokens that the task's grammar allows, where it has one.

    Attributes:
        log_probs: (m,) float32, of the tokens that the last `act` chose, under the policy at this temperature.
        allowed: (m, V) bool, the tokens that the last `act` chose among; None where no grammar was asked.
    """

    def __init__(
        self,
        model: LanguageModel,
        *,
        temperature: float = 1.0,
        greedy: bool = False,
        seed: int = 0,
        grammar: bool = False,
    ) -> None:
        if temperature <= 0:
            raise ValueError(f"temperature={temperature} must be above 0; for the most likely tokens use greedy=True")
        self.model, self.temperature, self.greedy, self.grammar = model, temperature, greedy, grammar
        self.generator = torch.Generator(model.device).manual_seed(seed)
        self.log_probs: NDArray[np.float32] | None = None
        self.allowed: NDArray[np.bool_] | None = None
        self._cache = Cache(0, 0, model.device)
        self._rows = np.zeros(0, np.int64)  # packed rows, in the order of their slots; -1 for none
        self._seen = np.zeros(0, np.int64)  # (n,) tokens of each row that the cache holds
        self._ahead = Lookahead(0)

    def begin(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> None:
        """Forget what these rows held, (m,): their episodes are new, or go on from elsewhere."""
        limit = self.model.context_length
        if limit is not None and limit < envs.mdp.context_length:
            raise ValueError(
                f"the environment's context_length={envs.mdp.context_length} is beyond the {limit} positions of the "
                "network: make it shorter, or the network longer"
            )
        if not envs.lengths[rows].all():
            raise ValueError("an episode opens with no token: a language model needs a first one to go on from")
        shape = envs.tokens.shape
        if (self._cache.slots, self._cache.length) != shape:
            self._cache = Cache(*shape, self.model.device)
            self._rows = np.zeros(0, np.int64)
            self._seen = np.zeros(envs.num_envs, np.int64)
            self._ahead = Lookahead(envs.num_envs)
        self._rows[np.isin(self._rows, rows)] = -1
        self._seen[rows] = 0
        self._ahead.forget(rows)
        self._forward = make_forward(self.model.network, envs.mdp.context_length)

    @torch.inference_mode()
    def branch(self, sources: NDArray[np.int64], targets: NDArray[np.int64]) -> None:
        """After `envs.branch(sources, targets)`, (m,) each: let the targets go on from what the sources have read.

        A source that holds no slot has nothing to give: its targets are read anew when `act` is asked about them.
        """
        sources, targets = np.asarray(sources), np.asarray(targets)
        if self._forward.supports_arbitrary_slots:
            self._cache.copy(sources, targets)
            self._ahead.branch(sources, targets)
        else:
            self._branch_packed(sources, targets)
        self._seen[targets] = self._seen[sources]

    @torch.inference_mode()
    def act(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The next token of each of these rows, (m,)."""
        grammar, self.allowed = self.grammar and envs.mdp.has_grammar, None
        if isinstance(self._forward, CompiledLlamaForward) and not grammar:
            return self._say(self._forward, envs, rows)
        if self._forward.supports_arbitrary_slots:
            logits = self._logits(envs, rows, rows)  # (m, V)
        else:
            self._pack(rows)
            held = self._rows  # (m,) the same rows in the order of their slots
            logits = self._logits(envs, held, slice(len(held)))
            place = np.empty(envs.num_envs, np.int64)
            place[held] = np.arange(len(held))
            logits = logits[torch.from_numpy(place[rows]).to(logits.device)]  # in the order that was asked for
        allowed = None
        if grammar:
            self.allowed = envs.masks_of(rows)
            allowed = torch.from_numpy(self.allowed).to(logits.device)
        log_probs = self.model.distribution(logits, self.temperature, allowed)  # (m, V)
        tokens = log_probs.argmax(-1) if self.greedy else self._draw(log_probs)
        self.log_probs = log_probs.gather(1, tokens[:, None])[:, 0].cpu().numpy()
        return tokens.cpu().numpy()

    def _draw(self, log_probs: Tensor) -> Tensor:
        """A token of each row, (m,): the first whose cumulative probability is above a uniform number.

        That number is less than 1 and the product with the sum less than the sum: a token of probability 0 is never it.
        """
        bounds = log_probs.exp().cumsum(-1)  # (m, V)
        uniform = torch.rand(len(bounds), 1, generator=self.generator, device=bounds.device)
        return torch.searchsorted(bounds, uniform * bounds[:, -1:], right=True)[:, 0]

    def _say(
        self, forward: CompiledLlamaForward, envs: TokenVectorEnv[Any], rows: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The next token of each of these rows, (m,), drawn ahead where there is none left."""
        ahead, others = self._ahead, np.ones(envs.num_envs, bool)
        others[rows] = False
        self._seen[others] = 0
        ahead.forget(others)
        as_said = ahead.as_said(envs, rows)
        self._seen[rows] = np.where(as_said, self._seen[rows], np.minimum(self._seen[rows], ahead.said[rows]))
        lacking = rows[~as_said | ahead.lacking(envs, rows)]
        if len(lacking):
            budgets, last = ahead.budgets(envs, lacking), envs.lengths[lacking] - 1
            self._read(envs.tokens, lacking, lacking, last)
            shape = len(lacking), int(budgets.max())
            tokens, drawn, log_probs = forward.write(
                CacheView(self._cache, lacking, last[:, None]),
                torch.from_numpy(envs.tokens[lacking, last][:, None]),
                budgets,
                self.model.never,
                envs.mdp.tokenizer.end_id,
                self.temperature,
                None if self.greedy else torch.rand(shape, generator=self.generator),
            )
            ahead.keep(envs, lacking, tokens, log_probs, drawn)
            self._seen[lacking] = last + drawn  # all but the last one that was drawn
        said, self.log_probs = ahead.say(envs, rows)
        return said

    def _logits(self, envs: TokenVectorEnv[Any], rows: NDArray[np.int64], slots: NDArray[np.int64] | slice) -> Tensor:
        """Read what is new in some rows, (m,), that have these slots; logits of what follows, (m, V)."""
        last = envs.lengths[rows] - 1
        self._read(envs.tokens, rows, np.arange(self._cache.slots)[slots], last)
        window = CacheView(self._cache, slots, last[:, None])
        tokens = torch.from_numpy(envs.tokens[rows, last][:, None])
        self._seen[:] = 0  # rows that are not asked about lose what they had
        self._seen[rows] = last + 1
        return self._forward.predict(window, tokens.to(self._cache.device))

    def _read(
        self,
        tokens: NDArray[np.int64],
        rows: NDArray[np.int64],
        slots: NDArray[np.int64],
        stops: NDArray[np.int64],
    ) -> None:
        """Read what is new in some rows, (m,), with these slots, (m,), up to these positions, (m,)."""
        counts = stops - self._seen[rows]  # (m,)
        new = counts > 0
        if not new.any():
            return
        rows, slots, counts = rows[new], slots[new], counts[new]
        # Rows with fewer new tokens than K go on into padding: never attended to, and written over in time.
        positions = self._seen[rows][:, None] + np.arange(counts.max())  # (m', K)
        positions = np.minimum(positions, tokens.shape[1] - 1)
        block = tokens[rows[:, None], positions]  # (m', K)
        first = same = np.arange(len(slots))
        if not positions[:, 0].any():  # rows that open alike, as groups do, are read once
            _, first, same = np.unique(np.c_[block, counts], axis=0, return_index=True, return_inverse=True)
        for some in np.array_split(first, -(-len(first) * block.shape[1] // CHUNK)):
            window = CacheView(self._cache, slots[some], positions[some])
            self._forward.read(window, torch.from_numpy(block[some]).to(self._cache.device))
        if len(first) < len(slots):
            self._cache.copy(slots[first[same]], slots, block.shape[1])

    def _pack(self, rows: NDArray[np.int64]) -> None:
        """Let exactly these rows have slots, 0 to m - 1: the last ones move to where others fell out."""
        asked = np.zeros(len(self._seen) + 1, bool)  # the last one is for slots of no row, -1
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
            self._seen[fresh] = 0

    def _branch_packed(self, sources: NDArray[np.int64], targets: NDArray[np.int64]) -> None:
        """Give the targets slots with what their sources hold, those whose sources have something."""
        rows = np.full(self._cache.slots, -1)  # of all slots
        rows[: len(self._rows)] = self._rows
        slots = np.full(len(rows), -1)  # of all rows
        slots[rows[rows >= 0]] = np.flatnonzero(rows >= 0)
        rows[np.isin(rows, targets)] = -1
        told = slots[sources] >= 0
        sources, targets = sources[told], targets[told]
        free = np.flatnonzero(rows < 0)[: len(targets)]
        self._cache.copy(slots[sources], free)
        rows[free] = targets
        self._rows = rows[: max(len(self._rows), free.max(initial=-1) + 1)]
