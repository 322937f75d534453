r"""Compact tokenizers: a lexicon of the task's own words, or bytes.

They need no download and no transformers, make short episodes and action spaces that fit classic algorithms, and become
transformers tokenizers, id for id, when a language model wants one.

Both kinds begin with the same three ids: 0 `<pad>`, 1 `<end>` (of turn), 2 `<unk>` (a character that can't be encoded).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from textmdp.envs.tokenizers.base import REPLACEMENT, Tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, END, UNK = SPECIALS = ("<pad>", "<end>", "<unk>")

#: Lone surrogates are no text, so they are free to stand for something: the first one for the end of a row.
_ROW_END, _FIRST_FREE = "\ud800", 0xD801
_NOTHING = np.array(0)
_TABLE_END = "\u3000"  # characters from here on have no place in the table
#: With more tokens of several characters than this, looking them up one by one is faster than replacing each.
_FEW = 16


class _Compact(Tokenizer):
    """What the two compact kinds share: the special ids, and tables from ids to pieces of text."""

    pad_id, end_id, unk_id = 0, 1, 2
    unusable_ids = (0, 2)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tokenizer:
        return self  # immutable

    def _out_of_range(self, error: KeyError) -> NoReturn:
        raise ValueError(
            f"{error.args[0]!r} is no token id of {self!r}: ids are whole numbers in 0..{self.vocab_size - 1}"
        ) from None


class LexiconTokenizer(_Compact):
    """The words, lexemes or characters of one task; lossless: what is encoded decodes to the same text.

    Ids from 3 are the tokens in the order given. Encoding takes the longest token that matches, from left to right,
    and never goes back: with the tokens "ab", "a" and "bc", the "c" of "abc" is unknown.

    Args:
        tokens: different, non-empty strings.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = _checked(tokens)
        self.vocab_size = len(SPECIALS) + len(self.tokens)
        self.max_token_bytes = max(len(token.encode()) for token in (REPLACEMENT, *self.tokens))
        self._ids = {token: i for i, token in enumerate(self.tokens, len(SPECIALS))}
        self._texts = dict(enumerate((REPLACEMENT, "", REPLACEMENT, *self.tokens)))
        self._split: Callable[[str], Iterable[str]] = iter  # several times faster, where it will do
        if any(len(token) > 1 for token in self.tokens):
            self._split = re.compile(_any_of(self.tokens, re.escape)).findall
        # Bound once: the vector environment encodes and decodes short texts by the million.
        self._id_of, self._text_of = self._ids.__getitem__, self._texts.__getitem__
        # The ids of characters: 0 for none, which pads, and -1 for those that are unknown or may begin a longer token.
        singles = {ord(token): i for token, i in self._ids.items() if len(token) == 1 and "\0" < token < _TABLE_END}
        self._single_ids = np.full(max(singles, default=0) + 2, -1, np.int64)
        self._single_ids[list(singles)] = list(singles.values())
        longer = [ord(token[0]) for token in self.tokens if len(token) > 1]
        self._single_ids[[code for code in longer if code in singles]] = -1
        self._single_ids[0] = self.pad_id
        # What is not one character (the end of turn is none) is a free code point first, and then replaced.
        free = iter(range(_FIRST_FREE, 0xE000))
        single = [len(text) == 1 and text != "\0" for text in self._texts.values()]  # numpy strips what ends in \0
        self._replaced: list[tuple[str, str]] = []
        self._codes: NDArray[np.uint32] | None = None  # (V,)
        if single.count(False) <= _FEW:
            codes = [ord(text) if one else next(free) for text, one in zip(self._texts.values(), single, strict=True)]
            self._codes = np.array(codes, np.uint32)
            self._replaced = [(chr(codes[i]), text) for i, text in self._texts.items() if not single[i]]

    def encode(self, text: str, *, errors: str = "strict") -> list[int]:
        """The ids of a text. See `Tokenizer.encode`."""
        try:
            return [*map(self._id_of, self._split(text))]
        except KeyError:
            return self._encode_unknown(text, errors)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids. See `Tokenizer.decode`."""
        try:
            return "".join(map(self._text_of, ids))
        except KeyError as error:
            self._out_of_range(error)

    def decode_many(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """`decode` for each row."""
        join, text_of = "".join, self._text_of
        try:
            return [join(map(text_of, row)) for row in rows]
        except KeyError as error:
            self._out_of_range(error)

    def decode_block(self, ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[str]:
        """`decode` for the first `lengths[i]` of each row of a block of ids, (m, w), without a loop over tokens."""
        if self._codes is None or not ids.size:
            return super().decode_block(ids, lengths)
        width = ids.shape[1]
        codes = self._codes[ids]
        codes *= np.arange(width) < lengths[:, None]
        text = _ROW_END.join(codes.view(f"U{width}").ravel().tolist())
        for code, token in self._replaced:
            text = text.replace(code, token)
        return text.split(_ROW_END)

    def opening_block(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """`opening` for each text: padded ids, (m, w), and lengths, (m,); None where that takes more than a table."""
        lengths = [*map(len, texts)]
        width = max(1, *lengths)
        codes = np.array(texts, f"U{width}").view(np.uint32).reshape(-1, width)
        ids = self._single_ids.take(codes, mode="clip")
        return (ids, np.array(lengths)) if np.count_nonzero(ids > _NOTHING) == sum(lengths) else None

    def token_text(self, id: int) -> str:
        """A token for display."""
        return SPECIALS[id] if 0 <= id < len(SPECIALS) else self.decode([id])

    def cut(self, text: str, count: int) -> str:
        """The text of the first `count` tokens of a text; unknown characters as they stand."""
        return "".join([*self._split(text)][:count])

    def to_transformers(self) -> PreTrainedTokenizerFast:
        """The same tokenizer for transformers: words looked up in a table, split by one regular expression."""
        from tokenizers import Regex, decoders, models, pre_tokenizers
        from tokenizers import Tokenizer as Pipeline

        vocabulary = {token: i for i, token in enumerate((*SPECIALS, *self.tokens))}
        pipeline = Pipeline(models.WordLevel(vocabulary, unk_token=UNK))
        pattern = _any_of(self.tokens, lambda character: f"\\x{{{ord(character):x}}}")
        pipeline.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "isolated")
        pipeline.decoder = decoders.Fuse()
        return _wrap(pipeline)

    def _encode_unknown(self, text: str, errors: str) -> list[int]:
        if errors == "replace":
            return [self._ids.get(piece, self.unk_id) for piece in self._split(text)]
        position = 0
        for piece in self._split(text):
            if piece not in self._ids:
                _refuse(piece, position, errors, f"no token of {self!r} starts with it there", ', or tokenizer="bytes"')
            position += len(piece)
        raise AssertionError("a text that can be encoded was not")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LexiconTokenizer) and self.tokens == other.tokens

    def __hash__(self) -> int:
        return hash((LexiconTokenizer, self.tokens))

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self.tokens[:8])) + (", …" if len(self.tokens) > 8 else "")
        return f"LexiconTokenizer([{shown}])"

    def __reduce__(self) -> tuple[Any, ...]:
        return LexiconTokenizer, (self.tokens,)


class ByteTokenizer(_Compact):
    """The bytes of UTF-8: any text, and nothing to learn by heart. Byte b has the id b + 3.

    Only lone surrogates, which are no Unicode text, can't be encoded.
    """

    vocab_size = len(SPECIALS) + 256
    max_token_bytes = len(REPLACEMENT.encode())  # of a byte that belongs to no character

    # 0xff occurs in no UTF-8, so it decodes to U+FFFD wherever it stands.
    _bytes = dict(enumerate((b"\xff", b"", b"\xff", *(bytes([b]) for b in range(256)))))  # noqa: RUF012

    def encode(self, text: str, *, errors: str = "strict") -> list[int]:
        """The ids of a text. See `Tokenizer.encode`."""
        try:
            return [byte + 3 for byte in text.encode()]
        except UnicodeEncodeError as error:
            if errors != "replace":
                _refuse(text[error.start], error.start, errors, "a lone surrogate is no Unicode text", "")
        # "surrogatepass" makes three bytes of a surrogate, which can't occur otherwise, so characters go one by one.
        return [
            id
            for character in text
            for id in ([self.unk_id] if "\ud800" <= character <= "\udfff" else self.encode(character))
        ]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids. See `Tokenizer.decode`."""
        try:
            return b"".join(map(self._bytes.__getitem__, ids)).decode(errors="replace")
        except KeyError as error:
            self._out_of_range(error)

    def token_text(self, id: int) -> str:
        """A token for display: an ASCII character, or the byte in hexadecimal."""
        if 0 <= id < len(SPECIALS):
            return SPECIALS[id]
        text = self.decode([id])
        return f"<0x{id - 3:02X}>" if text == REPLACEMENT else text

    def to_transformers(self) -> PreTrainedTokenizerFast:
        """The same tokenizer for transformers: byte-level BPE without merges."""
        from tokenizers import Tokenizer as Pipeline
        from tokenizers import decoders, models, pre_tokenizers

        vocabulary = {token: i for i, token in enumerate((*SPECIALS, *_byte_level_alphabet()))}
        pipeline = Pipeline(models.BPE(vocabulary, [], unk_token=UNK))
        pipeline.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        pipeline.decoder = decoders.ByteLevel()
        return _wrap(pipeline)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByteTokenizer)

    def __hash__(self) -> int:
        return hash(ByteTokenizer)

    def __repr__(self) -> str:
        return "ByteTokenizer()"


def _checked(tokens: Sequence[str]) -> tuple[str, ...]:
    """The tokens of a lexicon, if they can be one."""
    checked = tuple(tokens)
    if not checked:
        raise ValueError("a lexicon needs at least one token")
    seen = set(SPECIALS)
    for token in checked:
        if not isinstance(token, str):
            raise TypeError(f"a token of a lexicon is a str, got {token!r}")
        if not token:
            raise ValueError("a token of a lexicon must not be empty")
        if token in seen:
            why = "has a meaning of its own" if token in SPECIALS else "is there twice"
            raise ValueError(f"the tokens of a lexicon must differ, and {token!r} {why}; leave it out")
        if any("\ud800" <= character <= "\udfff" for character in token):
            raise ValueError(f"the token {token!r} has a lone surrogate, which is no Unicode text; leave it out")
        seen.add(token)
    return checked


def _any_of(tokens: Iterable[str], escape: Callable[[str], str]) -> str:
    """A regular expression for the longest token that matches, or any one character if none does.

    It is written as a trie, so that its cost grows with the text and not with the number of tokens.
    """
    trie: dict[str, Any] = {}
    for token in tokens:
        node = trie
        for character in token:
            node = node.setdefault(character, {})
        node[""] = {}  # a token ends here

    def pattern(node: dict[str, Any]) -> str:
        branches = [escape(character) + pattern(child) for character, child in node.items() if character]
        if not branches:
            return ""
        choice = f"(?:{'|'.join(branches)})"
        return f"{choice}?" if "" in node else choice

    return rf"{pattern(trie)}|[\s\S]"


def _refuse(character: str, position: int, errors: str, why: str, or_else: str) -> NoReturn:
    if errors != "strict":
        raise ValueError(f'errors={errors!r} is neither "strict" nor "replace"')
    raise ValueError(
        f"can't encode {character!r} at position {position}: {why}; "
        f'use errors="replace" for the unknown token instead{or_else}'
    )


def _byte_level_alphabet() -> list[str]:
    """The printable character that byte-level BPE writes for each byte (openai/gpt-2, encoder.py, bytes_to_unicode)."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def _wrap(pipeline: Any) -> PreTrainedTokenizerFast:
    """The transformers tokenizer around a pipeline of the `tokenizers` library."""
    try:
        from transformers import PreTrainedTokenizerFast
    except ImportError as error:
        raise ImportError('a transformers tokenizer needs transformers: pip install "textmdp[agents]"') from error
    return PreTrainedTokenizerFast(
        tokenizer_object=pipeline,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNK,
        # Text is untrusted: "<end>" in a prompt is five characters, not the end of a turn.
        split_special_tokens=True,
        clean_up_tokenization_spaces=False,
    )
