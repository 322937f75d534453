"""The base class of tokenizers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

#: The character that padding and unknown tokens decode to, so that they stay visible.
REPLACEMENT = "\ufffd"


class Tokenizer(ABC):
    """A mapping between texts and token ids; immutable, picklable, and equal to any tokenizer with the same mapping.

    Attributes:
        pad_id: the padding token. Use roles, not ids, to find padding: a pretrained tokenizer may have no token of its
            own for it.
        end_id: the token that ends a turn of the policy.
        vocab_size: the number of ids (V), which are 0..V-1.
        max_token_bytes: the maximum number of UTF-8 bytes that decoding adds for one token.
        unusable_ids: the tokens that a policy must not write: padding, unknown, other specials, holes in the
            vocabulary.
    """

    pad_id: int
    end_id: int
    vocab_size: int
    max_token_bytes: int
    unusable_ids: tuple[int, ...]

    @abstractmethod
    def encode(self, text: str, *, errors: str = "strict") -> list[int]:
        """The ids of a text.

        Args:
            text: the text.
            errors: "strict" to raise a `ValueError` for a character that cannot be encoded; "replace" to encode it as
                one unknown token.
        """

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, without the end of turn and with U+FFFD for padding, unknown tokens and invalid UTF-8."""

    def decode_many(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """`decode` of each row."""
        return [self.decode(row) for row in rows]

    def decode_block(self, ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[str]:
        """`decode` of the first `lengths[i]` ids of row i, for (n, width) ids; override it where a table is faster."""
        return self.decode_many([row[:n] for row, n in zip(ids.tolist(), lengths.tolist(), strict=True)])

    @abstractmethod
    def token_text(self, id: int) -> str:
        """The text of a token for display; a name such as "<end>" if it has none."""

    def cut(self, text: str, count: int) -> str:
        """The text of the first `count` tokens of a text."""
        return self.decode(self.encode(text, errors="replace")[:count])

    def opening(self, text: str) -> list[int]:
        """The ids of an episode's opening text, in a chat template if there is one."""
        return self.encode(text)

    def opening_block(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """`opening` of n texts at once: padded ids, (n, width), and lengths, (n,); None if that is not possible."""
        return None

    def following(self, text: str) -> list[int]:
        """The ids of a later turn of the environment, after the policy's end-of-turn token."""
        return self.encode(text)

    def turn_overhead(self) -> int:
        """The maximum number of tokens that `opening` or `following` add to those of the text itself."""
        return 0

    @abstractmethod
    def to_transformers(self) -> PreTrainedTokenizerFast:
        """The same tokenizer for transformers, with the same ids and texts, and named special tokens."""
