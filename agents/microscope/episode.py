"""One episode under the microscope: values, alternatives and branches of its states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from textmdp.agents.credit.exact_values import ExactValues
from textmdp.agents.microscope.branches import Branches, branch
from textmdp.agents.microscope.estimates import agreement
from textmdp.agents.microscope.policies import distributions, legal_tokens
from textmdp.agents.microscope.records import Alternative, EpisodeCredit, Token, Turn
from textmdp.agents.microscope.settings import Settings
from textmdp.agents.rollouts.agent import Agent
from textmdp.agents.rollouts.trajectories import Trajectories
from textmdp.envs.core.episode import POLICY, Snapshot
from textmdp.envs.tokenizers import Tokenizer
from textmdp.envs.views.rendering import ledger
from textmdp.envs.views.vector_env import TokenVectorEnv

if TYPE_CHECKING:
    from textmdp.agents.models.language_model import LanguageModel
    from textmdp.agents.models.value_function import ValueFunction

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass
class Episode:
    """An episode of T tokens of the policy, with branches from each of its states."""

    snapshots: Sequence[Snapshot[Any]]
    """(T + 1,), before each token, and at the end."""
    actions: Ints
    """(T,), the tokens."""
    rewards: Floats
    """(T,), paid at each token."""
    takes_time: NDArray[np.bool_]
    """(T,), whether γ applies between a token and the next state."""
    gamma: float
    """γ."""
    probabilities: Floats
    """(T, V), that each token was drawn from."""
    states: Branches
    """Of the T + 1 snapshots."""
    compared: list[Ints]
    """(T,), the tokens that are compared at each position, the most likely first."""
    begun: Branches
    """Of all tokens that are compared, one after the other."""
    exact_v: Floats | None
    """(T + 1,), exact V; 0 at the end."""
    exact_a: list[Floats] | None
    """(T,), exact A of the tokens that are compared."""
    learnt_v: Floats | None = None
    """(T + 1,), learnt V, after `learn`."""

    @classmethod
    def branched(
        cls,
        agent: Agent,
        envs: TokenVectorEnv[Any],
        snapshots: Sequence[Snapshot[Any]],
        rewards: Floats,
        exact: ExactValues | None,
        settings: Settings,
    ) -> Episode:
        """Branch from each state of an episode, and from each token that is compared.

        Args:
            agent: the policy.
            envs: to play the branches in.
            snapshots: (T + 1,).
            rewards: (T,).
            exact: the exact values, if there are any.
            settings: of the microscope.
        """
        actions = np.array([after.tokens[len(before.tokens)] for before, after in pairwise(snapshots)], np.int64)
        probabilities = distributions(agent, envs.mdp, snapshots, actions.tolist())
        grammar = bool(getattr(agent, "grammar", True))
        compared = [
            _most_likely(row, int(action), legal_tokens(envs.mdp, snapshot, grammar), settings.alternatives)
            for row, action, snapshot in zip(probabilities, actions, snapshots[:-1], strict=True)
        ]
        turns = np.array([snapshot.episode.turn for snapshot in snapshots])
        takes_time = np.diff(turns) > 0 if settings.discount_unit == "turns" else np.ones(len(actions), bool)
        options: dict[str, Any] = {"gamma": settings.gamma, "discount_unit": settings.discount_unit}
        options["seed"] = settings.seed + 1
        starts = [snapshot for snapshot, tokens in zip(snapshots[:-1], compared, strict=True) for _ in tokens]
        states = branch(agent, envs, snapshots, settings.samples, **options)
        begun = branch(agent, envs, starts, settings.samples, actions=np.concatenate(compared), **options)
        exact_v, exact_a = (None, None) if exact is None else _exact(exact, snapshots, compared)
        return cls(
            snapshots, actions, rewards, takes_time, settings.gamma, probabilities, states, compared, begun,
            exact_v, exact_a,
        )  # fmt: skip

    @property
    def v(self) -> Floats:
        """(T + 1,), V of the states: exact where it is known, else by branching."""
        return self.states.mean if self.exact_v is None else self.exact_v

    def learn(self, value: ValueFunction, model: LanguageModel) -> Floats:
        """(T + 1,), V of the states by a learnt value function; 0 at the end of the task.

        Args:
            value: the value function.
            model: the policy, whose hidden states it may read.
        """
        import torch  # seconds, which scripted agents do without

        end = self.snapshots[-1]
        tokens, roles = torch.from_numpy(end.tokens)[None], torch.from_numpy(end.roles)[None]
        with torch.inference_mode():
            hidden = model.log_probs(tokens, roles, hidden=True).hidden if value.reads_policy else None
            after = value(tokens, hidden)[0].double().cpu().numpy()  # (length,)
        lengths = np.array([len(snapshot.tokens) for snapshot in self.snapshots])
        self.learnt_v = after[lengths - 1] * np.append(np.ones(len(self.actions)), float(end.truncated))
        return self.learnt_v

    def vine(self) -> tuple[Floats, Floats]:
        """One-step differences of branched values, (T,), and their standard errors, (T,)."""
        returns, decay = self.states.returns, np.where(self.takes_time, self.gamma, 1.0)[:, None]
        steps = self.rewards[:, None] + decay * returns[1:] - returns[:-1]  # (T, K), paired by their noise
        return steps.mean(1), steps.std(1, ddof=1) / np.sqrt(steps.shape[1])

    def alternatives(self, tokenizer: Tokenizer) -> list[tuple[Alternative, ...]]:
        """The tokens that are compared at each position, (T,)."""
        found, place = [], 0
        for t, tokens in enumerate(self.compared):
            here = []
            for number, token in enumerate(tokens.tolist()):
                returns = self.begun.returns[place]
                gains = returns - self.states.returns[t]  # (K,), paired by their noise
                here.append(
                    Alternative(
                        token=token,
                        text=token_text(tokenizer, token),
                        probability=float(self.probabilities[t, token]),
                        chosen=bool(token == self.actions[t]),
                        exact=None if self.exact_a is None else float(self.exact_a[t][number]),
                        advantage=float(gains.mean()),
                        error=float(gains.std(ddof=1) / np.sqrt(len(gains))),
                        returns=tuple(returns.tolist()),
                        continuation=_continuation(self.begun.messages[place], self.snapshots[t]),
                    )
                )
                place += 1
            found.append(tuple(here))
        return found


def episode_credit(
    episode: Episode,
    batch: Trajectories,
    row: int,
    tokenizer: Tokenizer,
    advantages: Mapping[str, Floats],
    group_returns: Sequence[float],
    names: Sequence[str],
) -> EpisodeCredit:
    """All that the microscope shows of an episode.

    Args:
        episode: it, with its branches.
        batch: the batch that it is from.
        row: its row there.
        tokenizer: the environment's.
        advantages: (T,) by estimator, those of the episode itself left out.
        group_returns: of its group.
        names: of the estimators in their order; the first is the reference.
    """
    alternatives = episode.alternatives(tokenizer)
    chosen = [next(a for a in here if a.chosen) for here in alternatives]
    vine, vine_errors = episode.vine()
    own = {"branches": np.array([a.advantage for a in chosen]), "vine": vine}
    if episode.exact_a is not None:
        own["exact"] = np.array([a.exact for a in chosen], np.float64)
    by_name = {name: own[name] if name in own else advantages[name] for name in names}
    sources = {"exact": episode.exact_v, "branches": episode.states.mean, "learnt": episode.learnt_v}
    tokens = []
    for t, action in enumerate(episode.actions.tolist()):
        row_probabilities = episode.probabilities[t]
        positive = row_probabilities[row_probabilities > 0]
        tokens.append(
            Token(
                text=token_text(tokenizer, action),
                turn=episode.snapshots[t].episode.turn,
                log_prob=float(np.log(max(row_probabilities[action], np.finfo(np.float64).tiny))),
                entropy=float(-(positive * np.log(positive)).sum()),
                reward=float(episode.rewards[t]),
                values={name: float(v[t]) for name, v in sources.items() if v is not None},
                value_error=float(episode.states.error[t]),
                advantages={name: float(array[t]) for name, array in by_name.items()},
                errors={"branches": chosen[t].error, "vine": float(vine_errors[t])},
                alternatives=alternatives[t],
            )
        )
    reference = by_name[names[0]]
    return EpisodeCredit(
        title=f"problem {batch.problems[row]}, return {_signed(float(batch.returns[row]))}",
        total=float(batch.returns[row]),
        group_returns=tuple(group_returns),
        ended=("terminated: " if batch.terminated[row] else "truncated: ")
        + (batch.finish_reasons[row] or "step limit"),
        pieces=_pieces(episode.snapshots[-1], tokenizer),
        tokens=tuple(tokens),
        turns=_turns(batch, row),
        agreement={name: agreement(array, reference) for name, array in by_name.items()},
        verdict=_verdict(tokens, reference, names[0]),
    )


def token_text(tokenizer: Tokenizer, token: int) -> str:
    """The text of a token; "" for the end of the turn."""
    return "" if token == tokenizer.end_id else tokenizer.token_text(token)


def _most_likely(probabilities: Floats, action: int, legal: NDArray[np.bool_], count: int) -> Ints:
    """The most likely legal tokens, and the one that was written; the most likely first, at most `count`."""
    order = np.lexsort((np.arange(len(probabilities)), -probabilities))
    order = order[legal[order]]
    if action not in order[:count]:
        order = np.append(order[: count - 1], action)
    return order[:count].astype(np.int64)


def _exact(
    exact: ExactValues, snapshots: Sequence[Snapshot[Any]], compared: Sequence[Ints]
) -> tuple[Floats, list[Floats]]:
    """Exact V of the states, (T + 1,), and exact A of the tokens that are compared, (T,)."""
    v, a, advantages = np.zeros(len(snapshots)), [], exact.a
    for t, tokens in enumerate(compared):
        prefix = exact.tree.find(snapshots[t].tokens.tolist())
        v[t] = exact.v[prefix]
        a.append(np.array([advantages[exact.tree.edge(prefix, token)] for token in tokens.tolist()]))
    return v, a


def _continuation(messages: tuple[str, ...], start: Snapshot[Any]) -> tuple[tuple[str, str], ...]:
    """The messages of a branch from the unfinished turn on."""
    first = len(start.episode.messages)
    rest = [(("environment", "policy")[i % 2], text) for i, text in enumerate(messages)][first:]
    return tuple(rest[:-1] if rest and rest[-1][1] == "" else rest)


def _pieces(end: Snapshot[Any], tokenizer: Tokenizer) -> tuple[str | int, ...]:
    """The transcript: texts of the environment, and the numbers of the policy's tokens."""
    pieces: list[str | int] = []
    waiting: list[int] = []
    number = 0
    for token, role in zip(end.tokens.tolist(), end.roles.tolist(), strict=True):
        if role != POLICY:
            waiting.append(token)
            continue
        if waiting:
            pieces.append(tokenizer.decode(waiting))
            waiting = []
        pieces.append(number)
        number += 1
    if waiting:
        pieces.append(tokenizer.decode(waiting))
    return tuple(pieces)


def _turns(batch: Trajectories, row: int) -> tuple[Turn, ...]:
    episode = batch.episodes[row]
    return tuple(
        Turn(response, ledger(score), score.total)
        for response, score in zip(episode.messages[1::2], episode.scores, strict=False)
    )


def _verdict(tokens: Sequence[Token], reference: Floats, source: str) -> str:
    """Which token mattered most by the reference, and where most of the reward was paid."""
    if not len(tokens) or np.abs(reference).max() < 1e-9:
        seen = "" if source == "exact" else "In these branches, "
        text = f"{seen}no token made a difference: whatever the policy writes here, the expected return is the same."
        return text[0].upper() + text[1:]
    most = int(np.abs(reference).argmax())
    paid = int(np.argmax([abs(token.reward) for token in tokens]))
    gain, error = float(reference[most]), tokens[most].errors.get(source, 0.0)
    size = f"{abs(gain):.3g}" + (f" ± {error:.2g}" if error else "")
    effect = "raised" if gain > 0 else "lowered"
    text = f"{_named(tokens[most])} {effect} the expected return by {size}, more than any other token."
    if not tokens[paid].reward:
        return f"{text} No reward was paid."
    if paid == most:
        return f"{text} It also got the largest reward, {_signed(tokens[paid].reward)}."
    later = paid - most
    when = f"{abs(later)} token{'s' * (abs(later) > 1)} {'later' if later > 0 else 'earlier'}"
    return f"{text} The largest reward, {_signed(tokens[paid].reward)}, was paid {when}, at {_named(tokens[paid])}."


def _signed(number: float) -> str:
    """A number with its sign; a minus, not a hyphen."""
    return f"{number:+g}".replace("-", "−") if number else "0"


def _named(token: Token) -> str:
    text = token.text.replace("\n", "⏎") or "end of turn"
    return f"«{text}» (turn {token.turn + 1})"
