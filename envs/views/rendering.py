"""Transcripts for a terminal, with roles in colour and the score after each turn."""

from __future__ import annotations

import io
import re
from typing import Any, TextIO

from textmdp.envs.core.episode import Episode
from textmdp.envs.core.task import Score

_ENVIRONMENT, _POLICY, _LEDGER, _RESET = "\x1b[36m", "\x1b[1;33m", "\x1b[2m", "\x1b[0m"
# A policy's text must not control a terminal: control characters and marks that reorder text are escaped.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """The text with escapes for the characters that would control a terminal."""
    return _UNPRINTABLE.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def ledger(score: Score) -> str:
    """A score in one line: the reward, the parts with their weights, then the metrics."""
    counted = [f"{name} {score.parts[name]:g} × {weight:g}" for name, weight in score.weights.items()]
    metrics = [f"{name} {value:g}" for name, value in score.parts.items() if name not in score.weights]
    line = f"reward {score.total:+g} = {' + '.join(counted) or 'nothing'}"
    return f"{line}   ({', '.join(metrics)})" if metrics else line


def transcript(episode: Episode[Any], partial: str = "", colour: bool = True) -> str:
    """The transcript of an episode, with the unfinished response `partial` at the end."""
    stream = io.StringIO()
    Printer(stream, colour).update(episode, partial)
    return stream.getvalue()


class Printer:
    """Writes a transcript to a stream as it grows, each character once."""

    def __init__(self, stream: TextIO, colour: bool) -> None:
        self._stream = stream
        self._colour = colour
        self._message = 0  # the first message that is not complete
        self._shown = 0  # the characters of it that are written

    def update(self, episode: Episode[Any], partial: str = "") -> None:
        """Write the new part of an episode and its unfinished response."""
        messages = episode.messages
        while self._message < len(messages):
            self._write_message(messages[self._message])
            by_policy = self._message % 2 == 1
            if by_policy:
                self._write(f"\n  {ledger(episode.scores[self._message // 2])}\n", _LEDGER)
            self._message, self._shown = self._message + 1, 0
        # An unfinished response may end within a character.
        self._write_message(partial.rstrip("\ufffd"))
        self._stream.flush()

    def _write_message(self, text: str) -> None:
        shown = visible(text)
        self._write(shown[self._shown :], _POLICY if self._message % 2 else _ENVIRONMENT)
        self._shown = max(self._shown, len(shown))

    def _write(self, text: str, style: str) -> None:
        if text:
            self._stream.write(f"{style}{text}{_RESET}" if self._colour else text)
