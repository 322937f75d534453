r"""Pretrained tokenizers from transformers, with or without a chat template.

The token row of an episode is append-only: no turn is ever encoded again. A chat template fits if the tokens of a
longer conversation begin with those of the shorter one. Many do not: they remove the thoughts of earlier turns, or
write today's date. Training with such a template compares log-probabilities of two different texts without any error,
so `PretrainedTokenizer` tries a template on small conversations and refuses an unfit one with the reason.

Texts are untrusted: "<|im_end|>" in a prompt or a response is ten characters, and not the end of a turn.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

from textmdp.envs.tokenizers.base import REPLACEMENT, Tokenizer
from textmdp.envs.tokenizers.chat_template import PROBE, ChatTemplate
from textmdp.envs.tokenizers.hub import hub_or_cache

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class PretrainedTokenizer(Tokenizer):
    """A fast transformers tokenizer.

    With a chat template, `opening` is the user's first turn up to the place where the policy writes, `following` is a
    later turn, from the policy's end-of-turn token on, and `end_id` is the token with which the template ends a turn of
    the policy. Without one, texts are encoded unchanged (after the beginning-of-sequence token, if the tokenizer adds
    one), and `end_id` is the tokenizer's end of sequence.

    Special tokens within texts are encoded as ordinary characters. Lone surrogates become U+FFFD under
    `errors="replace"`. Some tokenizers change case or spaces, so that decoding does not return the same text.

    Args:
        source: a name on the Hugging Face hub, a path, or a transformers tokenizer (a copy is kept).
        chat_template: None for the tokenizer's own, if it has one; a Jinja template; False for none.
        template_options: further variables for the template, such as `{"date_string": "1 Jan 2025"}`.
        system: a system prompt, which the template puts before the first turn; "" for none, or the template's own.

    Raises:
        ValueError: the chat template is not append-only; the message names the reason and the remedies.
    """

    def __init__(
        self,
        source: str | PathLike[str] | Any,
        *,
        chat_template: str | bool | None = None,
        template_options: Mapping[str, Any] | None = None,
        system: str = "",
    ) -> None:
        fast = _load(source)
        self.name = str(fast.name_or_path or type(fast).__name__)
        if chat_template is True or not isinstance(chat_template, str | bool | None):
            raise TypeError(
                f"chat_template={chat_template!r}: give a Jinja template, None for the tokenizer's own, or False"
            )
        if chat_template is not None:
            fast.chat_template = chat_template or None
        self._fast, self._backend = fast, fast.backend_tokenizer
        self._options, self._system = dict(template_options or {}), system

        self._tokens: dict[int, str] = {
            i: token for token, i in self._backend.get_vocab(with_added_tokens=True).items()
        }
        self.vocab_size = max(self._tokens) + 1
        added = self._backend.get_added_tokens_decoder()
        special = {i for i, token in added.items() if token.special} | set(fast.all_special_ids)
        # Tokens that a text must not produce. Some templates' own marks, such as "<tool_call>", are not "special".
        marks = {i for i, token in added.items() if re.fullmatch(r"[<\[].*[>\]]", token.content.strip(), re.DOTALL)}
        self._control_ids = frozenset(special | marks)
        self._unk_id: int | None = fast.unk_token_id
        self._forbidden = self._control_ids - {self._unk_id}

        self._template: ChatTemplate | None = None
        end_id = fast.eos_token_id
        self._begin: list[int] = []
        if fast.chat_template:
            self._template = ChatTemplate(
                fast,
                tokens=self._tokens,
                control_ids=self._control_ids,
                encode=self.encode,
                options=self._options,
                system=system,
                name=self.name,
            )
            end_id = end_id if self._template.end_id is None else self._template.end_id
        elif fast.bos_token_id is not None and fast.encode("")[:1] == [fast.bos_token_id]:
            self._begin = [fast.bos_token_id]
        if end_id is None:
            raise ValueError(f"the tokenizer {self.name} has no token that ends a turn; set its eos_token")
        self.end_id: int = end_id
        # Roles mark padding, so any token that no policy needs serves where the tokenizer has no padding token.
        spare = [fast.pad_token_id, fast.eos_token_id, fast.unk_token_id]
        self.pad_id: int = next((i for i in spare if i not in (None, end_id)), end_id)
        holes = set(range(self.vocab_size)) - self._tokens.keys()
        self._unusable = frozenset((special | holes | {self.pad_id}) - {end_id})
        self.unusable_ids = tuple(sorted(self._unusable))
        # An ordinary token, as the context in which others are decoded.
        self._neighbour = self.encode("a", errors="replace")[-1:]

    def encode(self, text: str, *, errors: str = "strict") -> list[int]:
        """The ids of a text, special tokens within it as ordinary characters. See `Tokenizer.encode`."""
        if errors not in ("strict", "replace"):
            raise ValueError(f'errors={errors!r} is neither "strict" nor "replace"')
        text = self._unicode(text, errors)
        ids: list[int] = self._backend.encode(text, add_special_tokens=False).ids
        if self._control_ids.isdisjoint(ids):
            return ids
        ids = self._encode_ordinary(text)
        if errors == "strict" and self._unk_id in ids:
            bad = next((i for i, c in enumerate(text) if self._unk_id in self._encode_ordinary(c)), 0)
            raise ValueError(
                f"can't encode {text[bad]!r} at position {bad}: {self!r} has no token for it; "
                'use errors="replace" for the unknown token instead'
            )
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, without the end of turn and with U+FFFD for special tokens. See `Tokenizer.decode`."""
        pieces: list[list[int]] = [[]]
        for id in ids:
            if id in self._unusable:
                pieces.append([])
            elif id in self._tokens:
                if id != self.end_id:
                    pieces[-1].append(int(id))
            else:
                raise ValueError(
                    f"{id!r} is no token id of {self!r}: ids are whole numbers in 0..{self.vocab_size - 1}"
                )
        return REPLACEMENT.join(self._backend.decode(piece, skip_special_tokens=False) for piece in pieces)

    def token_text(self, id: int) -> str:
        """The text of a token for display; its name in the vocabulary if it has none."""
        if id in self._unusable or id == self.end_id:
            return self._tokens.get(id, f"<{id}>")
        text = self._text_in_context(id)
        return self._tokens[id] if REPLACEMENT in text or not text else text

    @cached_property
    def max_token_bytes(self) -> int:  # type: ignore[override]
        """The maximum number of UTF-8 bytes that decoding adds for one token."""
        most = len(REPLACEMENT.encode())
        # From the longest names down. A byte of a name stands for at most one invalid byte, which decodes to three.
        for id, token in sorted(self._tokens.items(), key=lambda item: -len(item[1].encode())):
            if 3 * len(token.encode()) + 1 <= most:
                break
            if id not in self._unusable:
                most = max(most, len(self.decode([id]).encode()), len(self._text_in_context(id).encode()))
        return most

    def opening(self, text: str) -> list[int]:
        """The ids of the user's first turn, up to the place where the policy writes."""
        if self._template is None:
            return self._begin + self.encode(text)
        return self._template.opening(self._unicode(text, "strict"))

    def following(self, text: str) -> list[int]:
        """The ids of a later turn of the user, from the policy's end of turn to the place where it writes again."""
        return self.encode(text) if self._template is None else self._template.following(self._unicode(text, "strict"))

    def turn_overhead(self) -> int:
        """The maximum number of tokens that `opening` or `following` add to those of the text itself."""
        if self._template is None:
            return len(self._begin) + 2
        text = PROBE
        around = max(len(self.opening(text)), len(self.following(text))) - len(self.encode(text))
        around = max(around, *map(len, self._template.in_parts("")))
        return around + 2  # other texts may merge less well with the template than this one

    @property
    def has_chat_template(self) -> bool:
        """True if turns are written by a chat template."""
        return self._template is not None

    def to_transformers(self) -> PreTrainedTokenizerFast:
        """A copy of the transformers tokenizer."""
        return copy.deepcopy(self._fast)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PretrainedTokenizer) and self._fingerprint == other._fingerprint

    def __hash__(self) -> int:
        return hash(self._fingerprint)

    def __repr__(self) -> str:
        return f"PretrainedTokenizer({self.name!r})"

    def __deepcopy__(self, memo: dict[int, Any]) -> PretrainedTokenizer:
        return self  # immutable

    @cached_property
    def _fingerprint(self) -> str:
        parts = (
            self._backend.to_str(),
            self._fast.chat_template,
            sorted(self._options.items()),
            self._system,
            self.end_id,
            self.pad_id,
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _unicode(self, text: str, errors: str) -> str:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            if errors == "replace":
                return re.sub("[\ud800-\udfff]", REPLACEMENT, text)
            raise ValueError(
                f"can't encode {text[error.start]!r} at position {error.start}: a lone surrogate is no Unicode text; "
                f'use errors="replace" for {REPLACEMENT!r} instead'
            ) from None
        return text

    def _encode_ordinary(self, text: str) -> list[int]:
        """The ids of a text that names control tokens as ordinary characters: the pipeline without added tokens."""
        if self._backend.normalizer is not None:
            text = self._backend.normalizer.normalize_str(text)
        words = [text]
        if self._backend.pre_tokenizer is not None:
            words = [word for word, _ in self._backend.pre_tokenizer.pre_tokenize_str(text)]
        ids: list[int] = []
        for word in words:
            new = [token.id for token in self._backend.model.tokenize(word)]
            if not self._forbidden.isdisjoint(new):
                # The model's own vocabulary has the name. Split after its first character, it is ordinary text.
                names = "|".join(re.escape(self._tokens[i]) for i in self._forbidden)
                pieces = re.split(rf"(?<=(?={names})[\s\S])", word)
                new = [token.id for piece in pieces for token in self._backend.model.tokenize(piece)]
            ids += new
        if not self._forbidden.isdisjoint(ids):
            raise ValueError(
                f"{self!r} makes special tokens of the text {text!r}, and offers no way to encode it otherwise"
            )
        return ids

    def _text_in_context(self, id: int) -> str:
        """The text that a token adds after another one: at the very start some tokenizers drop a space."""
        before = self._backend.decode(self._neighbour, skip_special_tokens=False)
        after: str = self._backend.decode([*self._neighbour, id], skip_special_tokens=False)
        return after[len(before) :] if after.startswith(before) else after


def _load(source: Any) -> Any:
    """A private copy of a fast tokenizer, without padding and truncation."""
    if isinstance(source, str | PathLike):
        try:
            from transformers import AutoTokenizer
        except ImportError as error:
            raise ImportError('a pretrained tokenizer needs transformers: pip install "textmdp[agents]"') from error
        with hub_or_cache():
            fast = AutoTokenizer.from_pretrained(source)
    else:
        fast = source
    if not getattr(fast, "is_fast", False):
        raise TypeError(
            f"tokenizer={source!r} is no fast tokenizer ({type(fast).__name__}), which is required; "
            "use the fast one of the same model: AutoTokenizer.from_pretrained(name)"
        )
    if fast is source:
        fast = copy.deepcopy(source)
    fast.backend_tokenizer.no_padding()
    fast.backend_tokenizer.no_truncation()
    fast.backend_tokenizer.encode_special_tokens = False
    return fast
