"""The budget of responses to a data set's problems, in tokens of the tokenizer in use."""

from __future__ import annotations

from collections.abc import Iterable

from textmdp.envs.tokenizers import Tokenizer

#: Characters of reasoning that every budget has room for, beside the longest reference solution.
REASONING = 2048
#: Text in the style of worked solutions, which measures how many tokens that is.
_SAMPLE = "She sells 12 * 3 = 36 apples in the morning. That leaves 90 - 36 = 54 apples for the afternoon. "
#: Budgets are multiples of this.
_MULTIPLE = 64


def response_budget(tokenizer: Tokenizer, solutions: Iterable[str]) -> int:
    """The tokens of the longest solution, of `REASONING` characters of prose, and of the end of the turn.

    The budget of bare answers is therefore no smaller than about 2,100 tokens for bytes, and 500 to 800 for most
    pretrained tokenizers. It is rounded up to a multiple of 64.

    >>> from textmdp.envs.tokenizers import ByteTokenizer
    >>> response_budget(ByteTokenizer(), ["18", "7"]), response_budget(ByteTokenizer(), ["x" * 1000])
    (2112, 3072)
    """
    repeated = _SAMPLE * (REASONING // len(_SAMPLE) + 1)
    room = len(tokenizer.encode(repeated[:REASONING], errors="replace"))
    return -(-(most_tokens(tokenizer, solutions) + room + 1) // _MULTIPLE) * _MULTIPLE


def most_tokens(tokenizer: Tokenizer, texts: Iterable[str]) -> int:
    """The number of tokens of the text that has the most; 0 for no texts."""
    longest = 0
    for size, text in sorted(((len(text.encode(errors="replace")), text) for text in texts), reverse=True):
        if size <= longest:  # a tokenizer makes at most one token of a byte
            break
        longest = max(longest, len(tokenizer.encode(text, errors="replace")))
    return longest
