"""What a task, a tokenizer and two limits make together: the rules that every view of the task shares.

Openings, answers, rewards and ends are computed here and nowhere else, for one row or for many; the views differ in
what they call an action. That is why they agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Generic, NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from textmdp.envs.core.episode import Episode
from textmdp.envs.core.randomness import TurnGenerators, problem_indices
from textmdp.envs.core.spaces import UnicodeText
from textmdp.envs.core.task import END_OF_TURN, Future, Reply, S, Score, Task, await_replies
from textmdp.envs.tokenizers import Tokenizer, make_tokenizer

REWARDS = ("sparse", "dense")
_MOST_OPENINGS = 1 << 14


class Answers(NamedTuple):
    """What came of a response in each of some episodes, an aspect a list."""

    rewards: list[float]
    dones: Sequence[bool]
    messages: Sequence[str]
    """What the task said back."""
    scores: Sequence[Score]
    turns: list[int]
    """The number of finished turns of each episode."""
    successes: list[bool]
    """True for episodes that terminated and solved their problem (`Task.success`)."""


class TextMDP(Generic[S]):
    """The rules of a task at the level of tokens; immutable.

    Args:
        task: the task.
        tokenizer: None for the task's own compact one, "bytes", a `Tokenizer`, or a pretrained tokenizer by name,
            path or object.
        max_response_tokens: the budget of one response, its end-of-turn token included; None for the task's
            `response_budget`. It is a rule of the task: a response that reaches it is cut there and graded.
        context_length: the most tokens of an episode (L). Running out is a limit of the machine: the episode is
            truncated. When None, long enough for any episode.
        reward: "sparse", the score of a turn on its last action; or "dense", the same plus potential-based shaping
            (Ng, Harada & Russell 1999), which moves reward to the token that made progress and leaves the optimal
            policy as it is.
        shaping_discount: the discount that the shaping is made for: the agent's own. With the default of 1 the
            undiscounted return of an episode that terminates is the same, less the potential of its first state.
    """

    def __init__(
        self,
        task: Task[S],
        tokenizer: Any = None,
        max_response_tokens: int | None = None,
        context_length: int | None = None,
        reward: str = "sparse",
        shaping_discount: float = 1.0,
    ) -> None:
        if reward not in REWARDS:
            raise ValueError(f"reward={reward!r} is not one of {REWARDS}")
        if not 0.0 <= shaping_discount <= 1.0:
            raise ValueError(f"shaping_discount={shaping_discount} must lie in [0, 1]")
        self.task = task
        self.tokenizer = make_tokenizer(tokenizer, task.vocabulary())
        self.max_response_tokens = _at_least(
            1,
            "max_response_tokens",
            task.response_budget(self.tokenizer) if max_response_tokens is None else max_response_tokens,
        )
        self._replies_to_cuts = type(task).reply_to_cut is not Task.reply_to_cut
        if context_length is None:
            turn = self.max_response_tokens + 1 + self.tokenizer.turn_overhead()
            context_length = task.max_text_bytes + task.max_turns * turn + self.tokenizer.turn_overhead()
        self.context_length = _at_least(2, "context_length", context_length)
        self.dense = reward == "dense"
        self.shaping_discount = float(shaping_discount)
        if self.dense and type(task).potential is Task.potential:
            task.potential(task.problem(0)[0], "")  # raises, with the reason and the fix
        self.has_grammar = task.has_grammar
        if self.has_grammar:
            texts = [self.tokenizer.token_text(i) for i in range(self.tokenizer.vocab_size)]
            self._id_of = {text: i for i, text in enumerate(texts) if i not in self.tokenizer.unusable_ids}
            self._id_of[END_OF_TURN] = self.tokenizer.end_id
        self._openings = _Openings(self.tokenizer, self.context_length)
        self.usable = np.ones(self.tokenizer.vocab_size, bool)  # (V,)
        self.usable[list(self.tokenizer.unusable_ids)] = False

    # Spaces

    def token_observations(self) -> spaces.Dict:
        """Token ids and roles, left-aligned, padded to the context length."""
        return spaces.Dict(
            tokens=spaces.Box(0, self.tokenizer.vocab_size - 1, (self.context_length,), np.int64),
            roles=spaces.Box(0, 2, (self.context_length,), np.int8),
        )

    def text_observations(self) -> UnicodeText:
        """The transcript so far."""
        return UnicodeText(self.context_length * self.tokenizer.max_token_bytes + self.task.max_text_bytes)

    # Chance

    def problem_indices(self, keys: NDArray[np.uint64], wanted: Any = None) -> NDArray[np.int64]:
        """The problems of the episodes with these keys: those wanted (one number, or one a row), or drawn."""
        if wanted is None:
            return problem_indices(keys, self.task.num_problems)
        indices = np.broadcast_to(np.asarray(wanted), keys.shape)
        if indices.dtype.kind not in "iu":
            raise TypeError(f'options={{"problem": {wanted!r}}} must be a whole number, or one for each environment')
        stop = self.task.num_problems
        if indices.min() < 0 or (stop is not None and indices.max() >= stop):
            count = "a non-negative number" if stop is None else f"in 0..{stop - 1}: the split has {stop} problems"
            raise ValueError(f'options={{"problem": {wanted!r}}} must be {count}')
        return indices.astype(np.int64)

    # Turns

    def begin(self, episodes: Sequence[Episode[S]], keys: NDArray[np.uint64], indices: NDArray[np.int64]) -> list[str]:
        """Let episodes begin anew with these keys and problems; what each opens with."""
        numbers, texts = indices.tolist(), []
        problems = zip(episodes, keys.tolist(), numbers, self.task.problems(numbers), strict=True)
        for episode, key, problem, (state, text) in problems:
            episode.key = key
            episode.problem = problem
            episode.state = state
            episode.messages = (text,)
            episode.scores = ()
            texts.append(text)
        if self.dense:
            for episode in episodes:
                episode.potential = self.task.potential(episode.state, "")
        return texts

    def opening(self, text: str) -> tuple[int, ...]:
        """The tokens that a text opens an episode with."""
        return self._openings[text]

    def openings(self, texts: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The tokens that some texts open an episode with, padded, (m, w), and their lengths, (m,)."""
        encoded = self.tokenizer.opening_block(texts)
        if encoded is not None and encoded[0].shape[1] < self.context_length:
            return encoded
        openings = [self._openings[text] for text in texts]
        lengths = np.fromiter(map(len, openings), np.int64, len(openings))
        filled = np.arange(lengths.max()) < lengths[:, None]
        block = np.zeros(filled.shape, np.int64)
        block[filled] = np.fromiter(chain.from_iterable(openings), np.int64, int(lengths.sum()))
        return block, lengths

    def submit(self, episodes: Sequence[Episode[S]], responses: list[str]) -> Sequence[Future[Reply[S]]]:
        """Begin to grade one response in each episode: a future for each reply. The episodes stay as they are."""
        return self.task.submit([e.state for e in episodes], responses, TurnGenerators(episodes))

    def answers(
        self,
        episodes: Sequence[Episode[S]],
        responses: list[str],
        cut: Sequence[bool],
        pending: Sequence[Future[Reply[S]]] | None = None,
    ) -> Answers:
        """Grade one response in each episode, and advance the episodes by a turn.

        `messages[-1]` of each episode is then the environment's reply.

        Args:
            episodes: the episodes.
            responses: a response in each.
            cut: True where the budget cut the response.
            pending: the futures of `submit` for the same episodes and responses; None to grade now.
        """
        if pending is None:
            replies = self.task.reply_many([e.state for e in episodes], responses, TurnGenerators(episodes))
        else:
            replies = await_replies(pending)
        if self._replies_to_cuts and any(cut):
            replies = [
                self.task.reply_to_cut(episode.state, response, reply) if is_cut else reply
                for episode, response, is_cut, reply in zip(episodes, responses, cut, replies, strict=True)
            ]
        states, messages, scores, dones = zip(*replies, strict=True)
        for episode, response, state, message, score in zip(episodes, responses, states, messages, scores, strict=True):
            episode.state = state
            episode.messages += (response, message)
            episode.scores += (score,)
        rewards = [score.total for score in scores]
        if self.dense:
            for i, (episode, done) in enumerate(zip(episodes, dones, strict=True)):
                # A terminal state has potential 0: otherwise shaping would change which policy is best.
                rewards[i] += self.shape(episode, 0.0 if done else self.task.potential(episode.state, ""))
        successes = [done and self.task.success(episode.scores) for episode, done in zip(episodes, dones, strict=True)]
        return Answers(rewards, dones, messages, scores, [len(episode.scores) for episode in episodes], successes)

    def shape(self, episode: Episode[S], potential: float) -> float:
        """The shaping reward of a step to a state of this potential: discount × new potential − old one."""
        reward = self.shaping_discount * potential - episode.potential
        episode.potential = potential
        return reward

    def append_reply(self, text: str, finish_reason: str, done: bool, room: int) -> tuple[list[int], bool]:
        """The tokens of what the task said back, cut to the `room` left, and whether that truncates the episode.

        A task that goes on needs all of its words and a place for the policy's next token. A turn that the budget cut
        is closed first: what the policy reads later looks the same however its turn ended.
        """
        if done and not text:
            return [], False
        ids = self.tokenizer.following(text)
        if finish_reason == "length":
            ids = [self.tokenizer.end_id, *ids]
        return ids[:room], not done and len(ids) >= room

    def turn_info(self, episode: Episode[S], finish_reason: str, success: bool) -> dict[str, Any]:
        """The info of a single view at the end of a turn."""
        return {
            "turn": episode.turn,
            "finish_reason": finish_reason,
            "response": episode.messages[-2],
            "message": episode.messages[-1],
            "is_success": success,
            "score": dict(episode.scores[-1].parts),
        }

    def action_mask(self, episode: Episode[S], partial: str) -> NDArray[np.bool_]:
        """The legal next tokens, (V,): those of the task's grammar, or all but padding and its like."""
        allowed = self.task.continuations(episode.state, partial) if self.has_grammar else None
        if allowed is None:
            return self.usable.copy()
        mask = np.zeros_like(self.usable)
        try:
            mask[[self._id_of[text] for text in allowed]] = True
        except KeyError as error:
            raise ValueError(
                f"{type(self.task).__name__}.continuations allows {error.args[0]!r}, which is no token of "
                f"{self.tokenizer!r}; grammars need the task's own tokenizer"
            ) from None
        return mask


class _Openings(dict[str, tuple[int, ...]]):
    """The tokens of openings, remembered: groups ask for the same problem, and small sets come round again."""

    def __init__(self, tokenizer: Tokenizer, context_length: int) -> None:
        self.tokenizer, self.context_length = tokenizer, context_length

    def __missing__(self, text: str) -> tuple[int, ...]:
        ids = tuple(self.tokenizer.opening(text))
        if len(ids) >= self.context_length:
            raise ValueError(
                f"a problem's opening takes {len(ids)} tokens, and the context has context_length="
                f"{self.context_length}, which leaves no room for a response; use a longer context_length"
            )
        if len(self) >= _MOST_OPENINGS:
            self.clear()
        self[text] = ids
        return ids


def _at_least(least: int, name: str, value: int) -> int:
    if value < least:
        raise ValueError(f"{name}={value} must be at least {least}")
    return int(value)
