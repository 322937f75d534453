"""Compact tokenizers: the base class, and the bytes of UTF-8.

Compact tokenizers need no download and no transformers, and make short episodes and action spaces that fit classic
algorithms. `to_transformers` converts them, id for id.

Their first three ids are 0 `<pad>`, 1 `<end>` (of turn) and 2 `<unk>` (a character that cannot be encoded).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from textmdp.envs.tokenizers.base import REPLACEMENT, Tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, END, UNK = SPECIALS = ("<pad>", "<end>", "<unk>")


class CompactTokenizer(Tokenizer):
    """The base class of `LexiconTokenizer` and `ByteTokenizer`, with the special ids."""

    pad_id, end_id, unk_id = 0, 1, 2
    unusable_ids = (0, 2)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tokenizer:
        return self  # immutable

    def _out_of_range(self, error: KeyError) -> NoReturn:
        raise ValueError(
            f"{error.args[0]!r} is no token id of {self!r}: ids are whole numbers in 0..{self.vocab_size - 1}"
        ) from None


class ByteTokenizer(CompactTokenizer):
    """The bytes of UTF-8, for any text. Byte b has the id b + 3.

    Lone surrogates, which are no Unicode text, cannot be encoded.
    """

    vocab_size = len(SPECIALS) + 256
    max_token_bytes = len(REPLACEMENT.encode())  # of a byte that belongs to no character

    # 0xff is invalid in UTF-8, so it decodes to U+FFFD in any context.
    _bytes = dict(enumerate((b"\xff", b"", b"\xff", *(bytes([b]) for b in range(256)))))  # noqa: RUF012

    def encode(self, text: str, *, errors: str = "strict") -> list[int]:
        """The ids of a text. See `Tokenizer.encode`."""
        try:
            return [byte + 3 for byte in text.encode()]
        except UnicodeEncodeError as error:
            if errors != "replace":
                refuse(text[error.start], error.start, errors, "a lone surrogate is no Unicode text", "")
        # Character by character: "surrogatepass" would make three bytes of a surrogate instead of one unknown token.
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
        return wrap(pipeline)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByteTokenizer)

    def __hash__(self) -> int:
        return hash(ByteTokenizer)

    def __repr__(self) -> str:
        return "ByteTokenizer()"


def refuse(character: str, position: int, errors: str, why: str, or_else: str) -> NoReturn:
    """Raise the `ValueError` for a character that cannot be encoded, or for an unknown value of `errors`."""
    if errors != "strict":
        raise ValueError(f'errors={errors!r} is neither "strict" nor "replace"')
    raise ValueError(
        f"can't encode {character!r} at position {position}: {why}; "
        f'use errors="replace" for the unknown token instead{or_else}'
    )


def _byte_level_alphabet() -> list[str]:
    """The printable characters of byte-level BPE for the 256 bytes (openai/gpt-2, encoder.py, bytes_to_unicode)."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def wrap(pipeline: Any) -> PreTrainedTokenizerFast:
    """A transformers tokenizer with a pipeline of the `tokenizers` library."""
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
