"""A compact tokenizer of a task's own words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from textmdp.envs.tokenizers.base import REPLACEMENT
from textmdp.envs.tokenizers.compact import SPECIALS, UNK, CompactTokenizer, refuse, wrap

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

#: Lone surrogates occur in no text, so `decode_block` uses them as placeholders; the first one ends a row.
_ROW_END, _FIRST_FREE = "\ud800", 0xD801
_ZERO = np.array(0)
_TABLE_END = "\u3000"  # the first character that the table of characters leaves out
#: With more tokens of several characters than this, a look-up for each token is faster than replacing placeholders.
_MAX_REPLACED = 16


class LexiconTokenizer(CompactTokenizer):
    """The words, lexemes or characters of one task; an encoded text decodes to the same text.

    Ids from 3 are the tokens in the order given. Encoding takes the longest token that matches, from left to right and
    without backtracking: with the tokens "ab", "a" and "bc", the "c" of "abc" is unknown.

    Args:
        tokens: different, non-empty strings.

    Raises:
        ValueError, TypeError: the tokens cannot be a lexicon.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = _checked(tokens)
        self.vocab_size = len(SPECIALS) + len(self.tokens)
        self.max_token_bytes = max(len(token.encode()) for token in (REPLACEMENT, *self.tokens))
        self._ids = {token: i for i, token in enumerate(self.tokens, len(SPECIALS))}
        self._texts = dict(enumerate((REPLACEMENT, "", REPLACEMENT, *self.tokens)))
        self._split: Callable[[str], Iterable[str]] = iter  # several times as fast, for single characters
        if any(len(token) > 1 for token in self.tokens):
            self._split = re.compile(_any_of(self.tokens, re.escape)).findall
        # Bound once: the vector environment encodes and decodes short texts by the million.
        self._id_of, self._text_of = self._ids.__getitem__, self._texts.__getitem__
        # The ids of characters: 0 for padding, and -1 for those that are unknown or may begin a longer token.
        singles = {ord(token): i for token, i in self._ids.items() if len(token) == 1 and "\0" < token < _TABLE_END}
        self._single_ids = np.full(max(singles, default=0) + 2, -1, np.int64)
        self._single_ids[list(singles)] = list(singles.values())
        longer = [ord(token[0]) for token in self.tokens if len(token) > 1]
        self._single_ids[[code for code in longer if code in singles]] = -1
        self._single_ids[0] = self.pad_id
        # Tokens that are not one character decode to an unused code point first, which is then replaced.
        free = iter(range(_FIRST_FREE, 0xE000))
        single = [len(text) == 1 and text != "\0" for text in self._texts.values()]  # numpy strips a trailing \0
        self._replaced: list[tuple[str, str]] = []
        self._codes: NDArray[np.uint32] | None = None  # (V,)
        if single.count(False) <= _MAX_REPLACED:
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
        """`decode` of each row."""
        join, text_of = "".join, self._text_of
        try:
            return [join(map(text_of, row)) for row in rows]
        except KeyError as error:
            self._out_of_range(error)

    def decode_block(self, ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[str]:
        """`decode` of the first `lengths[i]` ids of row i, for (n, width) ids, without a loop over tokens."""
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
        """`opening` of n texts: padded ids, (n, width), and lengths, (n,); None if a text needs more than a table."""
        lengths = [*map(len, texts)]
        width = max(1, *lengths)
        codes = np.array(texts, f"U{width}").view(np.uint32).reshape(-1, width)
        ids = self._single_ids.take(codes, mode="clip")
        return (ids, np.array(lengths)) if np.count_nonzero(ids > _ZERO) == sum(lengths) else None

    def token_text(self, id: int) -> str:
        """A token for display."""
        return SPECIALS[id] if 0 <= id < len(SPECIALS) else self.decode([id])

    def cut(self, text: str, count: int) -> str:
        """The text of the first `count` tokens of a text; unknown characters stay as they are."""
        return "".join([*self._split(text)][:count])

    def to_transformers(self) -> PreTrainedTokenizerFast:
        """The same tokenizer for transformers: a table of words, and a regular expression that splits the text."""
        from tokenizers import Regex, decoders, models, pre_tokenizers
        from tokenizers import Tokenizer as Pipeline

        vocabulary = {token: i for i, token in enumerate((*SPECIALS, *self.tokens))}
        pipeline = Pipeline(models.WordLevel(vocabulary, unk_token=UNK))
        pattern = _any_of(self.tokens, lambda character: f"\\x{{{ord(character):x}}}")
        pipeline.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "isolated")
        pipeline.decoder = decoders.Fuse()
        return wrap(pipeline)

    def _encode_unknown(self, text: str, errors: str) -> list[int]:
        if errors == "replace":
            return [self._ids.get(piece, self.unk_id) for piece in self._split(text)]
        position = 0
        for piece in self._split(text):
            if piece not in self._ids:
                refuse(piece, position, errors, f"no token of {self!r} starts with it there", ', or tokenizer="bytes"')
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


def _checked(tokens: Sequence[str]) -> tuple[str, ...]:
    """The tokens of a lexicon; an error if they cannot be one."""
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
    """A regular expression for the longest matching token, or for one character if no token matches.

    It has the form of a trie, so its cost depends on the length of the text and not on the number of tokens.
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
