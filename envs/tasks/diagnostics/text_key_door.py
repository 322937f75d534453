"""TextKeyDoor: a question in the first turn gives the word that the last turn needs."""

from __future__ import annotations

import operator
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from textmdp.envs.core.task import Outcome, Reply, Score
from textmdp.envs.tasks.diagnostics.base import Diagnostic, checked, numbered

_WEIGHTS = {"apple": 1.0, "correct": 1.0}


class Quest(NamedTuple):
    """The hidden state."""

    word: str
    """The word that opens the door."""
    asked: bool
    """True if the word was shown."""
    turn: int
    """The number of finished turns."""


class TextKeyDoor(Diagnostic[Quest]):
    r"""Ask for the word that opens a door `length` turns later, or eat an apple.

    ## Description
    Isolates the worth of information: to ask earns nothing and reveals which
    word opens the door in the last turn; the apple pays at once, and the door
    is then a guess. The state is hidden until it is asked for. A transcript
    with the responses in «»:
    `? ` «ask» `x. ` «left» `. ` «right» `door? ` «x».

    ## Action space
    Text: `ask` or `apple` in the first turn, `left` or `right` in the idle
    ones, `x` or `y` in the last; each a token, which is the budget of a turn.

    ## Observation space
    Text: `? `; the word if it was asked for; `. ` before an idle turn and
    `door? ` before the last.

    ## Rewards
    `apple`, worth `apple`, in the first turn. `correct`, 1 for the right word
    at the door. The best return is 1, that of a random policy
    (`apple` + 1)/2.

    ## Starting state
    Problem 0 has the word `x`, problem 1 the word `y`; they open alike.

    ## Episode end
    The episode terminates after `2 + length` turns.

    ## Arguments
    - `length`: the number of idle turns, the difficulty.
    - `apple`: the reward of the apple, below 1/2.

    ## Version history
    - v0: first release.
    """

    sweep = ("length", (0, 1, 2, 4, 8, 16))
    num_problems = 2
    max_response_tokens = 1

    def __init__(self, length: int = 2, apple: float = 0.25):
        self.length = int(checked("length", operator.index(length), 0))
        if not 0.0 <= apple < 0.5:
            raise ValueError(f"apple={apple} must lie in [0, 1/2): with more, asking is not the best policy")
        self.apple = apple
        self.max_turns = 2 + self.length
        self.max_text_bytes = len("? xdoor? ") + len(". ") * self.length

    @property
    def optimal_return(self) -> float:
        """1."""
        return 1.0

    @property
    def random_return(self) -> float:
        """(apple + 1)/2."""
        return (self.apple + 1) / 2

    def problem(self, index: int) -> tuple[Quest, str]:
        """The word, not shown."""
        return Quest("xy"[numbered(index, 2)], False, 0), "? "

    def outcomes(self, state: Quest, response: str) -> Sequence[Outcome[Quest]]:
        """The word if it was asked for, the next question, or the end of the episode."""
        first, last = state.turn == 0, state.turn == self.length + 1
        asked = response == "ask" if first else state.asked
        apple = self.apple if first and response == "apple" else 0.0
        score = Score({"apple": apple, "correct": float(last and response == state.word)}, _WEIGHTS)
        text = "" if last else "door? " if state.turn == self.length else ". "
        if first and asked:
            text = state.word + text
        return [Outcome(1.0, Reply(Quest(state.word, asked, state.turn + 1), text, score, last))]

    def demonstrate(self, state: Quest, rng: np.random.Generator) -> str:
        """To ask, and to use the word."""
        return self._words(state)[0] if state.turn <= self.length else state.word

    def mistake(self, state: Quest, rng: np.random.Generator) -> str:
        """The apple, and the first word."""
        return self._words(state)[1] if state.turn <= self.length else "x"

    def continuations(self, state: Quest, partial: str) -> Collection[str]:
        """Two words."""
        return self._words(state)

    def vocabulary(self) -> Sequence[str]:
        """The words of all turns and punctuation."""
        return "ask", "apple", "left", "right", "x", "y", "door", "? ", ". "

    def _words(self, state: Quest) -> tuple[str, str]:
        if state.turn == 0:
            return "ask", "apple"
        return ("left", "right") if state.turn <= self.length else ("x", "y")
