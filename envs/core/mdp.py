"""The Markov decision process of a task at the level of tokens, shared by all views of the task.

Openings, replies, rewards and episode ends are computed here and nowhere else, for one row or for many. The views
differ in their actions alone, which is why they agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import isfinite
from typing import Any, Generic, NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from textmdp.envs.core.episode import Episode
from textmdp.envs.core.openings import Openings
from textmdp.envs.core.randomness import TurnGenerators, problem_indices
from textmdp.envs.core.spaces import UnicodeText
from textmdp.envs.core.task import END_OF_TURN, Future, Reply, S, Score, Task, await_replies, check_replies
from textmdp.envs.tokenizers import make_tokenizer

REWARDS = ("sparse", "dense")
_WHOLE = {Reply}


class Answers(NamedTuple):
    """The outcomes of one response in each of m episodes; each field has m entries."""

    rewards: list[float]
    """The rewards of the turns, shaping included."""
    dones: Sequence[bool]
    """True where the task is over."""
    messages: Sequence[str]
    """The replies of the environment; "" for none."""
    scores: Sequence[Score]
    """The scores of the responses."""
    turns: list[int]
    """The number of finished turns of each episode."""
    successes: list[bool]
    """True for episodes that terminated and solved their problem (`Task.success`)."""


class TextMDP(Generic[S]):
    r"""A task as a Markov decision process over tokens; immutable.

    ## Description
    An episode is an append-only row of tokens. The environment opens it with the tokens of the task's text. The policy
    appends tokens up to its end-of-turn token, the task grades the response, and the environment appends the tokens of
    the reply, until the task is over. Texts are tokenised once and never again.

    ## Action space
    See the views: one token (`TokenEnv`, `TokenVectorEnv`) or one response (`ResponseEnv`).

    ## Observation space
    The tokens and the roles of the row, or the transcript as text.

    ## Rewards
    `reward="sparse"`: the task's score of a response, on the last action of the turn, and 0 on all others.
    `reward="dense"`: the same plus potential-based shaping, γ Φ(s') − Φ(s) with γ = `shaping_discount` and the task's
    potential Φ, on every action (Ng, Harada & Russell 1999, "Policy invariance under reward transformations", theorem
    1). Terminal states have potential 0, so shaping leaves the optimal policies unchanged.

    ## Starting state
    The problem of the episode is drawn from the episode's key (`textmdp.envs.core.randomness`), or chosen with
    `reset(options={"problem": i})`.

    ## Episode end
    The episode terminates when the task is over, and is truncated when the context is full. It is never both.

    ## Arguments
    See below.

    Args:
        task: the task.
        tokenizer: None for the task's own compact tokenizer, "bytes", a `Tokenizer`, or a pretrained tokenizer by name,
            path or object.
        max_response_tokens: the budget of one response, its end-of-turn token included; None for the task's
            `response_budget`. It is a rule of the task: a response that reaches it is cut there and graded.
        context_length: the maximum number of tokens of an episode (T). It is a limit of the machine: a full context
            truncates the episode. None for a length that holds every episode.
        reward: "sparse" or "dense", see above.
        shaping_discount: the discount γ of the shaping, which should be the agent's own. With the default of 1, the
            undiscounted return of an episode that terminates is the sparse one minus the potential of the first state.

    Raises:
        ValueError: an argument is out of its range.
        TypeError: the tokenizer is none, or `reward="dense"` and the task has no potential.
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
        if not isinstance(shaping_discount, (int, float, np.floating)) or not 0.0 <= shaping_discount <= 1.0:
            raise ValueError(f"shaping_discount={shaping_discount!r} must be a number in [0, 1]")
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
            text = task.text_budget(self.tokenizer)
            if tokenizer is None and task.max_text_tokens is not None:
                text = task.max_text_tokens
            context_length = text + task.max_turns * turn + self.tokenizer.turn_overhead()
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
        self._openings = Openings(self.tokenizer, self.context_length)
        self.usable = np.ones(self.tokenizer.vocab_size, bool)  # (V,)
        self.usable[list(self.tokenizer.unusable_ids)] = False

    # Spaces

    def token_observations(self) -> spaces.Dict:
        """The space of token ids and roles, (T,) each: left-aligned and padded with 0."""
        return spaces.Dict(
            tokens=spaces.Box(0, self.tokenizer.vocab_size - 1, (self.context_length,), np.int64),
            roles=spaces.Box(0, 2, (self.context_length,), np.int8),
        )

    def text_observations(self) -> UnicodeText:
        """The space of transcripts."""
        return UnicodeText(self.context_length * self.tokenizer.max_token_bytes + self.task.max_text_bytes)

    # Randomness

    def problem_indices(self, keys: NDArray[np.uint64], problem: Any = None) -> NDArray[np.int64]:
        """The problem numbers, (n,), of the episodes with these keys, (n,).

        Args:
            keys: the episodes' keys.
            problem: one number for all, or (n,) numbers; None to draw them from the keys.
        """
        if problem is None:
            return problem_indices(keys, self.task.num_problems)
        indices = np.broadcast_to(np.asarray(problem), keys.shape)
        if indices.dtype.kind not in "iu":
            raise TypeError(f'options={{"problem": {problem!r}}} must be a whole number, or one for each environment')
        stop = self.task.num_problems
        if indices.min() < 0 or (stop is not None and indices.max() >= stop):
            count = "a non-negative number" if stop is None else f"in 0..{stop - 1}: the split has {stop} problems"
            raise ValueError(f'options={{"problem": {problem!r}}} must be {count}')
        return indices.astype(np.int64)

    # Turns

    def begin(self, episodes: Sequence[Episode[S]], keys: NDArray[np.uint64], indices: NDArray[np.int64]) -> list[str]:
        """Start n episodes with these keys, (n,), and problems, (n,); returns their opening texts."""
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
        """The tokens of an opening text."""
        return self._openings[text]

    def openings(self, texts: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The tokens of n opening texts, padded, (n, width), and their lengths, (n,)."""
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
        if {*map(type, replies)} != _WHOLE:
            check_replies(self.task, replies)
        states, messages, scores, dones = zip(*replies, strict=True)
        if None in dones:
            check_replies(self.task, replies)
        for episode, response, state, message, score in zip(episodes, responses, states, messages, scores, strict=True):
            episode.state = state
            episode.messages += (response, message)
            episode.scores += (score,)
        rewards = [score.total for score in scores]
        if self.dense:
            for i, (episode, done) in enumerate(zip(episodes, dones, strict=True)):
                # A terminal state has potential 0: any other value would change the optimal policy.
                rewards[i] += self.shape(episode, 0.0 if done else self.task.potential(episode.state, ""))
        successes = [done and self.task.success(episode.scores) for episode, done in zip(episodes, dones, strict=True)]
        return Answers(rewards, dones, messages, scores, [len(episode.scores) for episode in episodes], successes)

    def shape(self, episode: Episode[S], potential: float) -> float:
        """The shaping reward γ Φ(s') − Φ(s) of a step to a state s' of this potential, which the episode keeps."""
        if not isfinite(potential):
            raise ValueError(f"{type(self.task).__name__}.potential gave {potential}: a potential must be finite")
        reward = self.shaping_discount * potential - episode.potential
        episode.potential = potential
        return reward

    def append_reply(self, text: str, finish_reason: str, done: bool, room: int) -> tuple[list[int], bool]:
        """The tokens of the environment's reply, at most `room` of them, and True if they truncate the episode.

        An episode that goes on needs the whole reply and a place for the policy's next token. A turn that the budget
        cut gets its end-of-turn token first, so that later turns look the same however earlier ones ended.

        Args:
            text: the reply; "" for none.
            finish_reason: why the turn ended, "stop" or "length".
            done: True if the task is over.
            room: the number of tokens that the context still holds.
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
        """The legal next tokens, (V,) bool: those of the task's grammar, or all but padding and other specials."""
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


def _at_least(least: int, name: str, value: int) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value!r} must be a whole number of at least {least}")
    return int(value)
