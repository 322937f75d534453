"""The growth of a prefix tree: level by level, in arrays, with Python code only where a turn ends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.credit.prefix_tree import Floats, Ints, Particle, PrefixTree, TreeTooLargeError
from textmdp.envs.core.mdp import TextMDP


def grow_tree(
    mdp: TextMDP[Any], problems: Iterable[int] | None = None, grammar: bool = True, max_prefixes: int | None = None
) -> PrefixTree:
    """The tree of all prefixes of a task.

    Args:
        mdp: the rules; with sparse rewards, and a context that holds every episode.
        problems: the problems that an episode draws from with equal probability; None for all of the task.
        grammar: whether the task's grammar restricts the tokens; otherwise all usable ones are legal.
        max_prefixes: the most prefixes; None for what half of the free memory holds.

    Raises:
        TreeTooLargeError: there are more.
        TypeError: the task draws random numbers and has no `outcomes`.
        ValueError: rewards are dense, the context truncates an episode, or the grammar depends on a hidden state.
    """
    if mdp.dense:
        raise ValueError(
            'exact values need reward="sparse": with shaping of potential Φ, V is V of the sparse rewards minus Φ'
        )
    return _Growth(mdp, grammar and mdp.has_grammar, _limit(mdp, max_prefixes)).grow(problems)


def _limit(mdp: TextMDP[Any], max_prefixes: int | None) -> int:
    if max_prefixes is not None:
        return max_prefixes
    free = 2**32
    try:
        with open("/proc/meminfo") as file:
            free = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        pass  # another system: assume 4 GiB
    # Measured: about 400 bytes for a prefix of two edges while the tree grows, and 60 for each further edge.
    edges = 4 if mdp.has_grammar else int(mdp.usable.sum())
    return free // 2 // (400 + 60 * edges)


class _Growth:
    """A tree under construction, level by level; a level holds the prefixes of one number of policy tokens."""

    def __init__(self, mdp: TextMDP[Any], grammar: bool, limit: int) -> None:
        self.mdp, self.grammar, self.limit = mdp, grammar, limit
        self.count = self.edge_count = self.particle_count = 0
        self.nodes: dict[str, list[NDArray[Any]]] = {}
        self.edge_arrays: dict[str, list[NDArray[Any]]] = {}
        self.beliefs: dict[int, list[Particle]] = {}
        self.replies: dict[int, list[int]] = {}
        self.outcomes: dict[str, list[float]] = {name: [] for name in _OUTCOME}
        self.mask_numbers: dict[Any, int] = {}
        self.masks: list[NDArray[np.bool_]] = []

    def grow(self, problems: Iterable[int] | None) -> PrefixTree:
        numbers = self._problems(problems)
        groups: dict[str, dict[Any, float]] = {}
        for state, text in self.mdp.task.problems(numbers):
            belief = groups.setdefault(text, {})
            belief[state] = belief.get(state, 0.0) + 1 / len(numbers)
        self._refuse_at_once(len(groups))
        openings = [[*self.mdp.opening(text)] for text in groups]
        level = {
            "parent_edge": np.full(len(groups), -1),
            "chance": np.array([sum(belief.values()) for belief in groups.values()]),
            "turn": np.zeros(len(groups), np.int64),
            "turn_start": np.arange(len(groups)),
            "written": np.zeros(len(groups), np.int64),
            "length": np.array([len(tokens) for tokens in openings]),
        }
        for place, (tokens, belief) in enumerate(zip(openings, groups.values(), strict=True)):
            self._begin_turn(place, tokens, belief)
        partial = np.zeros((len(groups), 0), np.int32)
        levels, first_edges = [0], [np.zeros(1, np.int64)]
        while len(level["parent_edge"]):
            for name, array in level.items():
                self.nodes.setdefault(name, []).append(array)
            first = self.count
            self.count += len(level["parent_edge"])
            levels.append(self.count)
            level, partial, counts = self._expand(first, level, partial, depth=len(levels) - 1)
            first_edges.append(first_edges[-1][-1] + counts.cumsum())
        nodes = {name: np.concatenate(arrays) for name, arrays in self.nodes.items()}
        edges = {name: np.concatenate(arrays) for name, arrays in self.edge_arrays.items()}
        outcomes: dict[str, NDArray[Any]] = {
            f"outcome_{name}": np.array(self.outcomes[name], kind) for name, kind in _OUTCOME.items()
        }
        return PrefixTree(
            mdp=self.mdp,
            levels=np.array(levels),
            first_edge=np.concatenate(first_edges),
            beliefs=self.beliefs,
            replies=self.replies,
            **nodes,
            **edges,
            **outcomes,
        )

    def _problems(self, problems: Iterable[int] | None) -> list[int]:
        if problems is not None:
            return [int(problem) for problem in problems]
        count = self.mdp.task.num_problems
        if count is None:
            raise ValueError(f"{type(self.mdp.task).__name__} has unlimited problems: name some with problems=[...]")
        if count > self.limit:
            raise TreeTooLargeError(count, "one a problem", self.limit)
        return [*range(count)]

    def _refuse_at_once(self, openings: int) -> None:
        """Refuse a tree whose first turn alone has too many prefixes; without a grammar their number is known."""
        if self.grammar:
            return
        choices, total = int(self.mdp.usable.sum()) - 1, 0
        for written in range(self.mdp.max_response_tokens):
            total += openings * choices**written
            if total > self.limit:
                total = sum(openings * choices**k for k in range(self.mdp.max_response_tokens))
                raise TreeTooLargeError(total, "in the first turn", self.limit)

    def _begin_turn(self, prefix: int, tokens: list[int], belief: dict[Any, float]) -> None:
        total = sum(belief.values())
        self.beliefs[prefix] = [
            Particle(self.particle_count + i, weight / total, state) for i, (state, weight) in enumerate(belief.items())
        ]
        self.particle_count += len(belief)
        self.replies[prefix] = tokens

    def _expand(
        self, first: int, level: dict[str, NDArray[Any]], partial: NDArray[np.int32], depth: int
    ) -> tuple[dict[str, NDArray[Any]], NDArray[np.int32], Ints]:
        """The next level, the tokens of its unfinished responses, and the number of edges of each prefix of this."""
        mdp = self.mdp
        masks = self._masks(level, partial)  # (n, V)
        node, action = masks.nonzero()  # (e,)
        written = level["written"][node] + 1
        ends = (action == mdp.tokenizer.end_id) | (written == mdp.max_response_tokens)
        if not ends.all() and (level["length"][node[~ends]] + 1 >= mdp.context_length).any():
            raise ValueError(f"context_length={mdp.context_length} truncates episodes: exact values need them whole")
        reward = np.zeros(len(node))
        kept = np.flatnonzero(~ends)
        response = np.zeros((len(node), partial.shape[1] + 1), np.int32)
        response[:, :-1] = partial[node]
        response[np.arange(len(node)), written - 1] = action
        self._check_count(self.count + len(kept), depth)
        begun = self._end_turns(first, level, node, action, written, response, np.flatnonzero(ends), len(kept), reward)
        counts = masks.sum(1)
        edges = {"action": action, "reward": reward, "ends_turn": ends}
        for name, array in edges.items():
            self.edge_arrays.setdefault(name, []).append(array)
        parents = node[kept]
        following = {
            "parent_edge": np.concatenate([self.edge_count + kept, begun["parent_edge"]]),
            "chance": np.concatenate([np.ones(len(kept)), begun["chance"]]),
            "turn": np.concatenate([level["turn"][parents], begun["turn"]]),
            "turn_start": np.concatenate([level["turn_start"][parents], begun["turn_start"]]),
            "written": np.concatenate([written[kept], np.zeros(len(begun["turn"]), np.int64)]),
            "length": np.concatenate([level["length"][parents] + 1, begun["length"]]),
        }
        self.edge_count += len(node)
        rows = np.concatenate([response[kept], np.zeros((len(begun["turn"]), response.shape[1]), np.int32)])
        width = int(following["written"].max(initial=0))
        return following, rows[:, :width], counts

    def _end_turns(
        self,
        first: int,
        level: dict[str, NDArray[Any]],
        node: Ints,
        action: Ints,
        written: Ints,
        response: NDArray[np.int32],
        ended: Ints,
        kept: int,
        reward: Floats,
    ) -> dict[str, NDArray[Any]]:
        """Grade the responses of the edges `ended`; fills `reward`, and returns the prefixes that begin a turn."""
        mdp, out = self.mdp, self.outcomes
        task, cuts_differ = mdp.task, mdp._replies_to_cuts
        begun: dict[str, list[Any]] = {name: [] for name in ("parent_edge", "chance", "turn", "turn_start", "length")}
        stops = action[ended] == mdp.tokenizer.end_id
        responses = (
            mdp.tokenizer.decode_block(response[ended].astype(np.int64), written[ended] - stops) if len(ended) else []
        )
        starts = level["turn_start"][node[ended]].tolist()
        lengths, turns = level["length"][node[ended]].tolist(), level["turn"][node[ended]].tolist()
        for place, (edge, text, stop) in enumerate(zip(ended.tolist(), responses, stops.tolist(), strict=True)):
            following: dict[str, dict[Any, float]] = {}
            records = []
            for particle in self.beliefs[starts[place]]:
                for probability, reply in task.outcomes(particle.state, text):
                    if cuts_differ and not stop:
                        reply = task.reply_to_cut(particle.state, text, reply)
                    weight = particle.probability * probability
                    reward[edge] += weight * reply.score.total
                    records.append((particle.number, probability, reply))
                    if not reply.done:
                        belief = following.setdefault(reply.text, {})
                        belief[reply.state] = belief.get(reply.state, 0.0) + weight
            targets: dict[str, int] = {}
            for message, belief in following.items():
                targets[message] = prefix = self.count + kept + len(begun["turn"])
                room = mdp.context_length - lengths[place] - 1
                ids, truncated = mdp.append_reply(message, "stop" if stop else "length", False, room)
                if truncated:
                    raise ValueError(
                        f"context_length={mdp.context_length} truncates episodes: exact values need them whole"
                    )
                self._begin_turn(prefix, ids, belief)
                begun["parent_edge"].append(self.edge_count + edge)
                begun["chance"].append(sum(belief.values()))
                begun["turn"].append(turns[place] + 1)
                begun["turn_start"].append(prefix)
                begun["length"].append(lengths[place] + 1 + len(ids))
            for number, probability, reply in records:
                target = -1 if reply.done else targets[reply.text]
                out["edge"].append(self.edge_count + edge)
                out["source"].append(number)
                out["probability"].append(probability)
                out["reward"].append(reply.score.total)
                out["target"].append(target)
                found = -1
                if target >= 0:
                    found = next(p.number for p in self.beliefs[target] if p.state == reply.state)
                out["particle"].append(found)
        kinds = {"chance": np.float64}
        return {name: np.array(values, kinds.get(name, np.int64)) for name, values in begun.items()}

    def _check_count(self, least: int, depth: int) -> None:
        if least > self.limit:
            raise TreeTooLargeError(least, f"up to {depth} tokens of the policy", self.limit)

    def _masks(self, level: dict[str, NDArray[Any]], partial: NDArray[np.int32]) -> NDArray[np.bool_]:
        """The legal tokens of the prefixes of a level, (n, V)."""
        mdp = self.mdp
        if not self.grammar:
            return np.broadcast_to(mdp.usable, (len(level["written"]), len(mdp.usable)))
        texts = (
            mdp.tokenizer.decode_block(partial.astype(np.int64), level["written"])
            if partial.size
            else [""] * len(level["written"])
        )
        numbers = []
        for start, text in zip(level["turn_start"].tolist(), texts, strict=True):
            found = {self._mask_number(particle.state, text) for particle in self.beliefs[start]}
            if len(found) > 1:
                raise ValueError(
                    f"the grammar after {text!r} depends on a state that is hidden from the policy: use grammar=False"
                )
            numbers.append(found.pop())
        return np.stack(self.masks)[numbers]

    def _texts(self, tokens: NDArray[np.int32], lengths: Ints) -> list[str]:
        """The texts of the first `lengths[i]` tokens of each row."""
        if not tokens.size:
            return [""] * len(tokens)
        return self.mdp.tokenizer.decode_block(tokens.astype(np.int64), lengths)

    def _mask_number(self, state: Any, text: str) -> int:
        allowed = self.mdp.task.continuations(state, text)
        key = None if allowed is None else tuple(allowed)
        number = self.mask_numbers.get(key)
        if number is None:
            mask = self.mdp.usable.copy()
            if key is not None:
                mask[:] = False
                mask[[self.mdp._id_of[token] for token in key]] = True
            number = self.mask_numbers[key] = len(self.masks)
            self.masks.append(mask)
        return number


_OUTCOME: dict[str, type] = {
    "edge": np.int64,
    "source": np.int64,
    "probability": np.float64,
    "reward": np.float64,
    "target": np.int64,
    "particle": np.int64,
}
