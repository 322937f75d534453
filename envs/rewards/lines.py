r"""The lines of a text: one definition for rewards that count them and for scores that read them.

- Line breaks are `\n`, `\r\n` and `\r`; no other character breaks a line.
- White space before the first line and after the last is ignored, so a final line break adds no line.
- A line that opens or closes a code fence (three backticks, with or without a language) is no line.
- A title is a line. So is a blank line between others, a stanza break: a count of lines that ignores what is on
  them can be satisfied by nothing, which is what `TextPoem` is made to show.

>>> lines_of("One,\ntwo,\n\nthree.\n")
['One,', 'two,', '', 'three.']
>>> lines_of("```text\nOne,\r\ntwo.\n```")
['One,', 'two.']
>>> lines_of("\n \n\n")
[]
"""

from __future__ import annotations

import re

_BREAK = re.compile(r"\r\n|\r|\n")
_FENCE = re.compile(r"\s*```[\w+-]*\s*")


def lines_of(text: str) -> list[str]:
    """Split a poem into its lines, blank ones between others included, without white space around each."""
    lines = [line.strip() for line in _BREAK.split(text) if not _FENCE.fullmatch(line)]
    filled = [place for place, line in enumerate(lines) if line]
    return lines[filled[0] : filled[-1] + 1] if filled else []


def line_score(text: str, num_lines: int) -> float:
    r"""Score the number of lines: `max(0, 1 - |lines - n| / n)`, in [0, 1].

    This is a proxy that is meant to be hackable: blank lines count, so `"O\n\n\n\nO"` is a perfect poem of five lines.

    Args:
        text: the poem.
        num_lines: n, the lines that were asked for, at least 1.
    """
    return max(0.0, 1 - abs(len(lines_of(text)) - num_lines) / num_lines)
