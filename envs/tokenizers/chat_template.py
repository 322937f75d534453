"""Chat templates that an append-only state can trust: tried on small conversations before they are used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textmdp.envs.tokenizers.pretrained import PretrainedTokenizer

# What the probing conversations say: words that no template has in its own text.
PROBE = "Quokka"
_USER = (PROBE, "Bilby and Numbat.")
_POLICY = ("Wombat", "Potoroo, or Dunnart!")
_THOUGHT = "<think>\nDibbler\n</think>\n\nWombat"


class ChatTemplate:
    """A chat template that was seen to be stable, and the turns that it makes.

    `end_id` is None if the template puts no control token behind a turn of the policy.
    """

    def __init__(self, tokenizer: PretrainedTokenizer) -> None:
        self._tokenizer = tokenizer
        self.end_id: int | None = None
        (user, other_user), (policy, other_policy) = _USER, _POLICY
        try:
            start = self._render(user)
            answered = self._render(user, policy, add_generation_prompt=False)
            first = self._render(user, policy, user)
            other = self._render(other_user, other_policy, user)
            longer = self._render(user, policy, user, other_policy, user)
            thought = self._render(user, _THOUGHT, user)
            # transformers gives templates this one function of the time; a macro of the same name takes its place.
            source = tokenizer._fast.get_chat_template()
            clocks = ["{% macro strftime_now(form) %}" + day + "{% endmacro %}" for day in ("one day", "another")]
            dates = {self._render(user, chat_template=clock + source) for clock in clocks}
        except Exception as error:  # templates raise what they like
            self._refuse(f"it fails on a plain conversation ({type(error).__name__}: {error})", error)
        if len(dates) > 1:
            self._refuse("it writes today's date into the prompt, so the same seed would give another episode tomorrow")
        if not self._begins(first, start + policy) or not self._begins(longer, first + other_policy):
            self._refuse(
                "a longer conversation doesn't begin with the shorter one: it writes earlier turns in another way"
            )
        if _THOUGHT not in thought:
            self._refuse("it rewrites what the policy said in earlier turns: thoughts between <think> and </think> go")
        closing = answered[answered.rindex(policy) + len(policy) :].lstrip()
        if closing and (ids := self._encode(closing).ids) and closing.startswith(tokenizer._tokens[ids[0]]):
            self.end_id = ids[0] if ids[0] in tokenizer._control else None
        self._before = first[: self._end_of(first, policy)]  # a conversation up to the policy's end of turn
        tails = {first[len(self._before) :], other[self._end_of(other, other_policy) :]}
        tails.add(longer[self._end_of(longer, other_policy) :])
        if len(tails) > 1:
            self._refuse("what it appends for a user's turn depends on the turns before")
        ids, whole = self._encode(start).ids, self._encode(first).ids
        if whole[: len(ids)] != ids:
            self._refuse("its prompt ends within a token: the tokens of a longer conversation don't begin with its own")
        self._opening_control = self._control_in(ids)
        self._following_control = self._control_in(self._behind(first))

    def opening(self, text: str) -> list[int]:
        """The first turn of the user."""
        ids: list[int] = self._encode(self._render(text)).ids
        return self._checked(ids, self._opening_control) or self.separately(text)[0]

    def following(self, text: str) -> list[int]:
        """A later turn of the user."""
        conversation = self._render(_USER[0], _POLICY[0], text)
        if not conversation.startswith(self._before):
            self._refuse(f"after the user's text {text!r} it writes the turns before in another way")
        ids = self._checked(self._behind(conversation), self._following_control)
        return ids or self.separately(text)[1]

    def _checked(self, ids: list[int], control: list[int]) -> list[int]:
        """The ids of a turn, or none if it has control tokens that aren't the template's own, or unknown ones."""
        return ids if self._control_in(ids) == control else []

    def _render(self, *turns: str, **variables: Any) -> str:
        messages = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(turns)]
        rendered: str = self._tokenizer._fast.apply_chat_template(
            messages, tokenize=False, **{"add_generation_prompt": True, **self._tokenizer._options, **variables}
        )
        return rendered

    def _encode(self, text: str) -> Any:
        return self._tokenizer._backend.encode(text, add_special_tokens=False)

    def _behind(self, conversation: str) -> list[int]:
        """The ids of a conversation behind the policy's first end of turn, encoded where they stand."""
        encoding = self._encode(conversation)
        return [i for i, (start, _) in zip(encoding.ids, encoding.offsets, strict=True) if start >= len(self._before)]

    def separately(self, text: str) -> tuple[list[int], list[int]]:
        """Both turns with their parts encoded one by one: for a text that names control tokens."""
        turns = []
        for sample in (self._render(_USER[0]), self._render(_USER[0], _POLICY[0], _USER[0])[len(self._before) :]):
            before, after = sample.split(_USER[0])
            turns.append([*self._encode(before).ids, *self._tokenizer.encode(text), *self._encode(after).ids])
        return turns[0], turns[1]

    def _control_in(self, ids: Iterable[int]) -> list[int]:
        return [i for i in ids if i in self._tokenizer._control]

    def _begins(self, whole: str, start: str) -> bool:
        """Whether `whole` begins with `start`, but for space where the policy starts to write."""
        policy = next(p for p in _POLICY if start.endswith(p))
        prompt = start[: -len(policy)]
        return whole.startswith(prompt) and whole[len(prompt) :].lstrip().startswith(policy)

    def _end_of(self, conversation: str, policy: str) -> int:
        """The position behind a turn of the policy and its end-of-turn token."""
        position = conversation.rindex(policy) + len(policy)
        if self.end_id is None:
            return position
        mark = self._tokenizer._tokens[self.end_id]
        return conversation.index(mark, position) + len(mark)

    def _refuse(self, reason: str, cause: Exception | None = None) -> Any:
        raise ValueError(
            f"the chat template of {self._tokenizer.name} can't be used: {reason}. Give another one, "
            "tokenizer=PretrainedTokenizer(name, chat_template=...), set its variables with template_options={...}, "
            "or do without: chat_template=False"
        ) from cause
