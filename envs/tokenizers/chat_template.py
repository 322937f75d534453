"""Chat templates for an append-only row of tokens, tried on small conversations before they are used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# The words of the trial conversations, which no template has in its own text.
PROBE = "Quokka"
_USER = (PROBE, "Bilby and Numbat.")
_POLICY = ("Wombat", "Potoroo, or Dunnart!")
_THOUGHT = "<think>\nDibbler\n</think>\n\nWombat"


class ChatTemplate:
    """The turns of a tokenizer's chat template, which was found to be append-only.

    Args:
        fast: the transformers tokenizer with its chat template.
        tokens: the vocabulary, from ids to tokens.
        control_ids: the tokens that a text must not produce.
        encode: the ids of a text, control tokens within it as ordinary characters.
        options: further variables for the template.
        system: content of a first message with the role "system"; "" for none.
        name: the tokenizer's name in messages.

    Attributes:
        end_id: the control token that ends a turn of the policy; None if the template writes none.

    Raises:
        ValueError: the template is not append-only, or fails; the message names the reason and the remedies.
    """

    def __init__(
        self,
        fast: PreTrainedTokenizerFast,
        *,
        tokens: Mapping[int, str],
        control_ids: frozenset[int],
        encode: Callable[[str], list[int]],
        options: Mapping[str, Any],
        name: str,
        system: str = "",
    ) -> None:
        self._fast, self._tokens, self._control_ids = fast, tokens, control_ids
        self._encode_plain, self._options, self._name = encode, options, name
        self._system = [{"role": "system", "content": system}] if system else []
        self.end_id: int | None = None
        (user, other_user), (policy, other_policy) = _USER, _POLICY
        try:
            start = self._render(user)
            answered = self._render(user, policy, add_generation_prompt=False)
            first = self._render(user, policy, user)
            other = self._render(other_user, other_policy, user)
            longer = self._render(user, policy, user, other_policy, user)
            thought = self._render(user, _THOUGHT, user)
            # transformers gives templates this one function of the time; a macro of the same name replaces it.
            source = fast.get_chat_template()
            clocks = ["{% macro strftime_now(form) %}" + day + "{% endmacro %}" for day in ("one day", "another")]
            dates = {self._render(user, chat_template=clock + source) for clock in clocks}
        except Exception as error:  # templates may raise anything
            self._refuse(f"it fails on a plain conversation ({type(error).__name__}: {error})", error)
        if len(dates) > 1:
            self._refuse("it writes today's date into the prompt, so the same seed would give another episode tomorrow")
        if not self._begins(first, start + policy) or not self._begins(longer, first + other_policy):
            self._refuse(
                "a longer conversation doesn't begin with the shorter one: it writes earlier turns in another way"
            )
        if _THOUGHT not in thought:
            self._refuse("it rewrites the policy's earlier turns: thoughts between <think> and </think> are removed")
        closing = answered[answered.rindex(policy) + len(policy) :].lstrip()
        if closing and (ids := self._encode(closing).ids) and closing.startswith(tokens[ids[0]]):
            self.end_id = ids[0] if ids[0] in control_ids else None
        self._before = first[: self._end_of(first, policy)]  # a conversation up to the policy's end of turn
        tails = {first[len(self._before) :], other[self._end_of(other, other_policy) :]}
        tails.add(longer[self._end_of(longer, other_policy) :])
        if len(tails) > 1:
            self._refuse("its text for a user's turn depends on the turns before")
        ids, whole = self._encode(start).ids, self._encode(first).ids
        if whole[: len(ids)] != ids:
            self._refuse("its prompt ends within a token: the tokens of a longer conversation don't begin with its own")
        self._opening_control = self._control_in(ids)
        self._following_control = self._control_in(self._after_first_turn(first))

    def opening(self, text: str) -> list[int]:
        """The ids of the user's first turn, up to the place where the policy writes."""
        ids: list[int] = self._encode(self._render(text)).ids
        return self._checked(ids, self._opening_control) or self.in_parts(text)[0]

    def following(self, text: str) -> list[int]:
        """The ids of a later turn of the user, from the policy's end of turn to the place where it writes again."""
        conversation = self._render(_USER[0], _POLICY[0], text)
        if not conversation.startswith(self._before):
            self._refuse(f"with the user's text {text!r} it writes the turns before in another way")
        ids = self._checked(self._after_first_turn(conversation), self._following_control)
        return ids or self.in_parts(text)[1]

    def in_parts(self, text: str) -> tuple[list[int], list[int]]:
        """`opening` and `following` with text and template encoded separately, for texts that name control tokens."""
        turns = []
        for sample in (self._render(_USER[0]), self._render(_USER[0], _POLICY[0], _USER[0])[len(self._before) :]):
            before, after = sample.split(_USER[0])
            turns.append([*self._encode(before).ids, *self._encode_plain(text), *self._encode(after).ids])
        return turns[0], turns[1]

    def _checked(self, ids: list[int], control: list[int]) -> list[int]:
        """The ids of a turn; none if their control tokens are not the template's own."""
        return ids if self._control_in(ids) == control else []

    def _render(self, *turns: str, **variables: Any) -> str:
        """The text of a conversation that the user begins."""
        roles = ("user", "assistant")
        messages = [*self._system, *({"role": roles[i % 2], "content": text} for i, text in enumerate(turns))]
        rendered: str = self._fast.apply_chat_template(
            messages, tokenize=False, **{"add_generation_prompt": True, **self._options, **variables}
        )
        return rendered

    def _encode(self, text: str) -> Any:
        return self._fast.backend_tokenizer.encode(text, add_special_tokens=False)

    def _after_first_turn(self, conversation: str) -> list[int]:
        """The ids of a conversation after the policy's first end of turn, encoded in their context."""
        encoding = self._encode(conversation)
        return [i for i, (start, _) in zip(encoding.ids, encoding.offsets, strict=True) if start >= len(self._before)]

    def _control_in(self, ids: Iterable[int]) -> list[int]:
        return [i for i in ids if i in self._control_ids]

    def _begins(self, whole: str, start: str) -> bool:
        """True if `whole` begins with `start`, apart from white space where the policy starts to write."""
        policy = next(p for p in _POLICY if start.endswith(p))
        prompt = start[: -len(policy)]
        return whole.startswith(prompt) and whole[len(prompt) :].lstrip().startswith(policy)

    def _end_of(self, conversation: str, policy: str) -> int:
        """The position after a turn of the policy and its end-of-turn token."""
        position = conversation.rindex(policy) + len(policy)
        if self.end_id is None:
            return position
        mark = self._tokens[self.end_id]
        return conversation.index(mark, position) + len(mark)

    def _refuse(self, reason: str, cause: Exception | None = None) -> Any:
        raise ValueError(
            f"the chat template of {self._name} can't be used: {reason}. Give another one, "
            "tokenizer=PretrainedTokenizer(name, chat_template=...), set its variables with template_options={...}, "
            "or do without: chat_template=False"
        ) from cause
