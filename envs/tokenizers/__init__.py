"""Tokenizers: compact ones of a task's own vocabulary or of bytes, and pretrained ones from transformers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from os import PathLike
from typing import Any

from textmdp.envs.tokenizers.base import Tokenizer
from textmdp.envs.tokenizers.compact import ByteTokenizer
from textmdp.envs.tokenizers.lexicon import LexiconTokenizer

__all__ = ["ByteTokenizer", "LexiconTokenizer", "Tokenizer", "make_tokenizer"]


def make_tokenizer(source: Any, vocabulary: Sequence[str] | None) -> Tokenizer:
    """The tokenizer for the argument `tokenizer=` of an environment.

    Args:
        source: None for the task's own compact tokenizer, "bytes", a `Tokenizer`, or a pretrained tokenizer by name or
            path, or as a transformers object.
        vocabulary: the tokens of the task's own tokenizer; None for bytes.

    Raises:
        TypeError: `source` is none of these.
    """
    if isinstance(source, Tokenizer):
        return source
    if source == "bytes" or (source is None and vocabulary is None):
        return ByteTokenizer()
    if source is None:
        return _lexicon(tuple(vocabulary or ()))
    if isinstance(source, str | PathLike) or any(
        parent.__module__.startswith("transformers.") for parent in type(source).__mro__
    ):
        from textmdp.envs.tokenizers.pretrained import PretrainedTokenizer

        return PretrainedTokenizer(source)
    raise TypeError(
        f'tokenizer={source!r} is none: give None (the task\'s own), "bytes", a textmdp Tokenizer, '
        "the name or path of a pretrained tokenizer, or a transformers tokenizer"
    )


@lru_cache(maxsize=64)
def _lexicon(tokens: tuple[str, ...]) -> LexiconTokenizer:
    # The environments of a task share a tokenizer, which is immutable.
    return LexiconTokenizer(tokens)
