"""Worked responses: demonstrations, mistakes, and the measures of a response's work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from textmdp.envs.tasks.text_math.steps.ways import ways_of
from textmdp.envs.tasks.text_math.steps.work import Work
from textmdp.envs.tokenizers import LexiconTokenizer

#: Demonstrations: answers alone; worked steps; both.
MODES = ("none", "steps", "mixed")
#: The marker of the answer behind worked steps.
ANSWER = "#### "
_MARKER = re.compile(r"####|^A:", re.MULTILINE)
_BARE = re.compile(r"[-\d.,/]+")
_STEP = re.compile(r"[^\n ]+[\n ]")


class Thinking:
    """Demonstrations by steps, and measures of the steps in a response.

    Args:
        share: the probability of worked steps in a demonstration; the others give the answer alone.
        way: the name of a way to work, see `textmdp.envs.tasks.text_math.steps.ways`; None for a random one.
        tokenizer: counts `thinking_tokens`.
    """

    def __init__(self, share: float, way: str | None, tokenizer: LexiconTokenizer) -> None:
        self._share, self._way, self._tokenizer = share, way, tokenizer

    def demonstrate(self, question: str, answer: str, rng: np.random.Generator) -> str:
        """A worked solution, or the marked answer alone."""
        way = self._draw(question, rng)
        return f"{ANSWER}{answer}" if way is None else written(question, way)

    def mistake(self, question: str, careless: str, rng: np.random.Generator) -> str:
        """A worked solution with an error in one step, from which the others follow; or the careless answer alone."""
        way = self._draw(question, rng)
        if way is None:
            return f"{ANSWER}{careless}"
        work = Work()
        _worked(question, way, work)
        for at in rng.permutation(work.numbers).tolist():
            try:
                return _joined(*_worked(question, way, Work(at, int(rng.choice((-1, 1))))))
            except ZeroDivisionError:  # the error made a denominator zero
                continue
        return f"{ANSWER}{careless}"

    def _draw(self, question: str, rng: np.random.Generator) -> str | None:
        if self._share < 1.0 and rng.random() >= self._share:
            return None
        names = [*self.ways(question)]
        return names[int(rng.integers(len(names)))]

    def ways(self, question: str) -> tuple[str, ...]:
        """The names of the ways that are demonstrated."""
        names = tuple(ways_of(question))
        return (self._way,) if self._way in names else names

    def measures(self, question: str, response: str) -> dict[str, float]:
        """The parts of weight 0: `steps_right`, `thinking_tokens` and `answer_given`."""
        marker = _MARKER.search(response)
        thought = response[: marker.start()] if marker else "" if _BARE.fullmatch(response) else response
        return {
            "steps_right": self.steps_right(question, response),
            "thinking_tokens": float(len(self._tokenizer.encode(thought, errors="replace"))) if thought else 0.0,
            "answer_given": float(marker is not None),
        }

    def steps_right(self, question: str, response: str) -> float:
        """The fraction of the steps, from the first on, that are those of a way to work the question.

        A step counts when the blank or line break behind it is written; steps beyond the last are wrong ones.
        """
        return max(right / count for right, count in self._right(question, response))

    def progress(self, question: str, response: str) -> float:
        """The same with the answer as one more step, which is not counted."""
        return max(right / (count + 1) for right, count in self._right(question, response))

    def _right(self, question: str, response: str) -> Iterator[tuple[int, int]]:
        """The number of right steps, and of all steps, due or written, for each way."""
        marker = _MARKER.search(response)
        said = [step[:-1] for step in _STEP.findall(response, 0, marker.start() if marker else len(response))]
        for way in self.ways(question):
            steps, _ = solution(question, way)
            right = 0
            while right < len(steps) and right < len(said) and steps[right] == said[right]:
                right += 1
            yield right, max(len(steps), len(said))


@lru_cache(maxsize=1 << 15)
def solution(question: str, way: str) -> tuple[tuple[str, ...], str]:
    """The steps of a way to work a question, and the answer."""
    steps, answer = _worked(question, way, Work())
    return tuple(steps), answer


def written(question: str, way: str) -> str:
    """A worked solution as a response: the steps, and the marked answer."""
    return _joined(*solution(question, way))


def _worked(question: str, way: str, work: Work) -> tuple[list[str], str]:
    answer = ways_of(question)[way](work, question)
    return work.steps, answer


def _joined(steps: list[str] | tuple[str, ...], answer: str) -> str:
    # Steps that are digits alone need no lines of their own.
    separator = " " if all(len(step) == 1 for step in steps) else "\n"
    return "".join(f"{step}{separator}" for step in steps) + f"{ANSWER}{answer}"
