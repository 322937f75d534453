"""A task with another reward: parts re-weighted, added and combined, in every view and for every task."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Generic

import numpy as np
from typing_extensions import NamedTuple

from textmdp.envs.core.task import Future, Outcome, Reply, S, Score, Task, await_replies
from textmdp.envs.rewards.expressions import Part, Spec, Sum, parse
from textmdp.envs.rewards.functions import RewardError, RewardFunction, call, columns_of
from textmdp.envs.rewards.rules import RULES
from textmdp.envs.tokenizers import Tokenizer


class Composed(NamedTuple, Generic[S]):
    """The hidden state: the task's own, and the transcript, which reward functions get as the prompt."""

    state: S
    transcript: str


@dataclass(frozen=True, slots=True)
class ComposedScore(Score):
    """A score that another one was composed from: `own` is the task's."""

    own: Score = field(kw_only=True)

    __hash__ = Score.__hash__


class ComposedTask(Task[Composed[S]]):
    """A task whose reward is an expression of parts; everything else is the task's own.

    Each part of the expression shows in the score, with its weight where it is a term of the outermost sum; so do all
    parts of the task's own score, as metrics where the expression leaves them out. A term that is a gate, a product, a
    sequence or a clip shows as a part of its own, named by its text. Functions are called once for all responses that
    are scored together. Like every task it must be pure: a function's answer must depend on its arguments alone.

    Args:
        task: the task.
        rewards: the reward, see `textmdp.envs.rewards`.
    """

    def __init__(self, task: Task[S], rewards: Spec) -> None:
        self.task, self.expression = task, parse(rewards)
        outermost = self.expression
        self._terms = outermost.terms if isinstance(outermost, Sum) else ((1.0, outermost),)
        self._functions = {part.name: part.function for part in outermost.parts() if part.function is not None}
        self._named = [part.name for part in outermost.parts() if part.function is None]
        self.num_problems, self.max_turns = task.num_problems, task.max_turns
        self.max_response_tokens, self.max_text_bytes = task.max_response_tokens, task.max_text_bytes
        self.max_text_tokens = task.max_text_tokens
        self.full_marks = None  # an expert at the task is none at every reward

    def problem(self, index: int) -> tuple[Composed[S], str]:
        """Return the task's problem."""
        return self.problems([index])[0]

    def problems(self, indices: SequenceOf[int]) -> list[tuple[Composed[S], str]]:
        """Return the task's problems."""
        return [(Composed(state, text), text) for state, text in self.task.problems(indices)]

    def reply(self, state: Composed[S], response: str, rng: np.random.Generator) -> Reply[Composed[S]]:
        """Return the task's reply with the composed score."""
        return self.reply_many([state], [response], [rng])[0]

    def outcomes(self, state: Composed[S], response: str) -> list[Outcome[Composed[S]]]:
        """Return the task's possible replies with composed scores."""
        outcomes = self.task.outcomes(state.state, response)
        count = len(outcomes)
        replies = self._composed([state] * count, [response] * count, [outcome.reply for outcome in outcomes])
        return [Outcome(outcome.probability, reply) for outcome, reply in zip(outcomes, replies, strict=True)]

    def reply_many(
        self,
        states: SequenceOf[Composed[S]],
        responses: SequenceOf[str],
        rngs: SequenceOf[np.random.Generator],
    ) -> list[Reply[Composed[S]]]:
        """Return the task's replies with composed scores; each reward function is called once."""
        return self._composed(
            states, responses, self.task.reply_many([state.state for state in states], responses, rngs)
        )

    def submit(
        self,
        states: SequenceOf[Composed[S]],
        responses: SequenceOf[str],
        rngs: SequenceOf[np.random.Generator],
    ) -> SequenceOf[Future[Reply[Composed[S]]]]:
        """Begin to grade responses; each reward function is called once for all of them, when all replies are there."""
        batch = _Batch(self, states, responses, self.task.submit([state.state for state in states], responses, rngs))
        return [_PendingReply(batch, place) for place in range(len(states))]

    def reply_to_cut(self, state: Composed[S], response: str, reply: Reply[Composed[S]]) -> Reply[Composed[S]]:
        """Return the task's reply to a response that was cut, with the composed score."""
        assert isinstance(reply.score, ComposedScore)
        own = Reply(reply.state.state, reply.text, reply.score.own, reply.done)
        cut = self.task.reply_to_cut(state.state, response, own)
        return reply if cut is own else self._composed([state], [response], [cut])[0]

    def success(self, scores: SequenceOf[Score]) -> bool:
        """True if the task says so of its own scores: another reward makes no other success."""
        return self.task.success([score.own if isinstance(score, ComposedScore) else score for score in scores])

    def _composed(
        self, states: SequenceOf[Composed[S]], responses: SequenceOf[str], replies: SequenceOf[Reply[S]]
    ) -> list[Reply[Composed[S]]]:
        """The task's replies with composed scores."""
        scores = self._scores(states, responses, replies)
        return [
            Reply(Composed(reply.state, f"{state.transcript}{response}{reply.text}"), reply.text, score, reply.done)
            for state, response, reply, score in zip(states, responses, replies, scores, strict=True)
        ]

    def _scores(
        self, states: SequenceOf[Composed[S]], responses: SequenceOf[str], replies: SequenceOf[Reply[S]]
    ) -> list[ComposedScore]:
        inner = [state.state for state in states]
        columns: dict[str, SequenceOf[Any]] = {
            **columns_of(inner),
            "prompts": [state.transcript for state in states],
            "completions": responses,
            "states": inner,
            "parts": [dict(reply.score.parts) for reply in replies],
        }
        values: list[dict[str, float]] = [dict(reply.score.parts) for reply in replies]
        for name, function in {**self._functions, **self._rules(replies[0].score.parts)}.items():
            for row, value in zip(values, call(function, name, columns), strict=True):
                if value is not None:
                    row[name] = value
        return [self._score(row, reply.score) for row, reply in zip(values, replies, strict=True)]

    def _score(self, values: dict[str, float], own: Score) -> ComposedScore:
        weights: dict[str, float] = {}
        for weight, term in self._terms:
            name = str(term)
            if not isinstance(term, Part):
                values[name] = term.value(values)
            if name in values:
                weights[name] = weights.get(name, 0.0) + weight
        return ComposedScore(values, weights, own=own)

    def _rules(self, own: Mapping[str, float]) -> dict[str, RewardFunction]:
        """The shipped rules that are named without arguments, where the task has no part of that name."""
        rules: dict[str, RewardFunction] = {}
        for name in self._named:
            if name in own:
                continue
            if name not in RULES:
                close = difflib.get_close_matches(name, (*own, *RULES), n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise RewardError(
                    f"there is no part {name!r}{hint} The task's parts are {', '.join(own)}; rules: {', '.join(RULES)}"
                )
            try:
                rules[name] = RULES[name]()
            except TypeError as error:
                raise RewardError(f"the rule {name!r} needs arguments: {error}") from error
        return rules

    # The task's own

    @property
    def slow(self) -> bool:
        """True if the task grades in the background."""
        return self.task.slow

    def response_budget(self, tokenizer: Tokenizer) -> int:
        """Return the task's budget."""
        return self.task.response_budget(tokenizer)

    def text_budget(self, tokenizer: Tokenizer) -> int:
        """Return the task's budget of its own texts."""
        return self.task.text_budget(tokenizer)

    def close(self) -> None:
        """Close the task."""
        self.task.close()

    def demonstrate(self, state: Composed[S], rng: np.random.Generator) -> str:
        """Return the task's demonstration: an expert at its own reward, which need not be one at the composed one."""
        return self.task.demonstrate(state.state, rng)

    def mistake(self, state: Composed[S], rng: np.random.Generator) -> str:
        """Return the task's mistake."""
        return self.task.mistake(state.state, rng)

    def potential(self, state: Composed[S], partial: str) -> float:
        """Return the task's potential."""
        return self.task.potential(state.state, partial)

    def continuations(self, state: Composed[S], partial: str) -> Collection[str] | None:
        """Return the task's continuations."""
        return self.task.continuations(state.state, partial)

    @property
    def has_grammar(self) -> bool:
        """Whether the task has a grammar."""
        return self.task.has_grammar

    def vocabulary(self) -> SequenceOf[str] | None:
        """Return the task's vocabulary."""
        return self.task.vocabulary()


class _Batch(Generic[S]):
    """Replies that were submitted together; their composed scores are computed when the first is asked for."""

    def __init__(
        self,
        task: ComposedTask[S],
        states: SequenceOf[Composed[S]],
        responses: SequenceOf[str],
        pending: SequenceOf[Future[Reply[S]]],
    ) -> None:
        self.pending = pending
        self._task, self._states, self._responses = task, states, responses
        self._replies: list[Reply[Composed[S]]] | None = None
        self._lock = Lock()

    def replies(self) -> list[Reply[Composed[S]]]:
        """Wait for all replies, and return them with composed scores."""
        with self._lock:
            if self._replies is None:
                replies = await_replies(self.pending)
                self._replies = self._task._composed(self._states, self._responses, replies)
            return self._replies


class _PendingReply(Generic[S]):
    """The future of one reply of a batch."""

    def __init__(self, batch: _Batch[S], place: int) -> None:
        self._batch, self._place = batch, place

    def result(self) -> Reply[Composed[S]]:
        """Wait for the batch, and return the reply."""
        return self._batch.replies()[self._place]

    def cancel(self) -> object:
        """Give the reply up."""
        return self._batch.pending[self._place].cancel()
