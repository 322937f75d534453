"""A cache of the tokens of opening texts."""

from __future__ import annotations

from textmdp.envs.tokenizers import Tokenizer

_MAX_OPENINGS = 1 << 14


class Openings(dict[str, tuple[int, ...]]):
    """A cache from opening texts to their tokens: groups share a problem, and small data sets repeat.

    Args:
        tokenizer: the tokenizer.
        context_length: the maximum number of tokens of an episode. Indexing with a text that leaves no room for a
            response raises a `ValueError`.
    """

    def __init__(self, tokenizer: Tokenizer, context_length: int) -> None:
        self.tokenizer, self.context_length = tokenizer, context_length

    def __missing__(self, text: str) -> tuple[int, ...]:
        ids = tuple(self.tokenizer.opening(text))
        if len(ids) >= self.context_length:
            raise ValueError(
                f"a problem's opening takes {len(ids)} tokens, and the context has context_length="
                f"{self.context_length}, which leaves no room for a response; use a longer context_length"
            )
        if len(self) >= _MAX_OPENINGS:
            self.clear()
        self[text] = ids
        return ids
