"""What a tokenizer is here: between text and an append-only row of ids."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

#: What decoding gives for padding and unknown tokens, so that garbage stays visible.
REPLACEMENT = "\ufffd"


class Tokenizer(ABC):
    """Between text and token ids; immutable, picklable, and equal to another that does the same.

    Attributes:
        pad_id: fills rows up. Roles, not ids, tell what is padding: a pretrained tokenizer may have no token for it.
        end_id: ends a turn of the policy.
        vocab_size: ids are 0..vocab_size-1.
        max_token_bytes: the most UTF-8 bytes that decoding adds for one token.
        unusable_ids: tokens that a policy has no use for: padding, unknown, other specials, holes in the vocabulary.
    """

    pad_id: int
    end_id: int
    vocab_size: int
    max_token_bytes: int
    unusable_ids: tuple[int, ...]

    @abstractmethod
    def encode(self, text: str, *, errors: str = "strict") -> list[int]:
        """The ids of a text.

        A character that can't be encoded is a `ValueError` if `errors` is "strict", and one unknown token each if it
        is "replace".
        """

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids: nothing for the end of turn, U+FFFD for padding, unknown tokens and broken UTF-8."""

    def decode_many(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """`decode` for each row."""
        return [self.decode(row) for row in rows]

    def decode_block(self, ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[str]:
        """`decode` for the first `lengths[i]` ids of each row of a block, (m, w); override where a table is faster."""
        return self.decode_many([row[:n] for row, n in zip(ids.tolist(), lengths.tolist(), strict=True)])

    @abstractmethod
    def token_text(self, id: int) -> str:
        """A token for display: its own text, or a name such as "<end>" if it has none."""

    def cut(self, text: str, count: int) -> str:
        """The text of the first `count` tokens of a text."""
        return self.decode(self.encode(text, errors="replace")[:count])

    def opening(self, text: str) -> list[int]:
        """What an episode starts with: the prompt; a chat template may wrap it."""
        return self.encode(text)

    def opening_block(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """`opening` for each text at once: padded ids, (m, w), and lengths, (m,); None to be asked one by one."""
        return None

    def following(self, text: str) -> list[int]:
        """What a turn of the environment appends after the policy's end-of-turn token."""
        return self.encode(text)

    def turn_overhead(self) -> int:
        """The most tokens that `opening` or `following` add to the encoding of the text itself."""
        return 0

    @abstractmethod
    def to_transformers(self) -> PreTrainedTokenizerFast:
        """The same tokenizer for transformers: same ids, same texts, special tokens named."""
