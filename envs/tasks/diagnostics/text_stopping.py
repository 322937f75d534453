"""TextStopping: the policy chooses when to stop, and every turn that goes on earns something."""

from __future__ import annotations

import operator
from collections.abc import Collection, Sequence

import numpy as np

from textmdp.envs.core.task import Outcome, Reply, Score
from textmdp.envs.tasks.diagnostics.base import Diagnostic, checked, numbered


class TextStopping(Diagnostic[int]):
    """Go on or stop, up to `turns` times; each time that the policy goes on pays 1 or 0.

    ## Description
    Isolates a chosen number of turns. To go on is worth 1/2 in every turn. A
    baseline for each turn that averages over the episodes that reached it has a
    number of terms that the trajectory chooses: it pays −1/2 for every further
    turn, so that stopping looks as good as going on. A transcript with the
    responses in «»: `? ` «go» `? ` «go» `? ` «stop».

    ## Action space
    Text: `go` or `stop`, a token, which is the budget of a turn. Any other text
    stops.

    ## Observation space
    Text: `? `. The rewards are not shown.

    ## Rewards
    `paid`, 1 or 0 with equal probability for `go` and 0 for `stop`. `correct`,
    a metric, is 1 in the last turn of an episode that never stopped. The best
    return is `turns`/2, that of a random policy (1 − 2^−`turns`)/2.

    ## Starting state
    There is one problem.

    ## Episode end
    The episode terminates when the policy stops, or after `turns` turns.

    ## Arguments
    - `turns`: the largest number of turns, the difficulty.

    ## Version history
    - v0: first release.
    """

    sweep = ("turns", (1, 2, 4, 8, 16, 32))
    num_problems = 1
    max_response_tokens = 1

    def __init__(self, turns: int = 4):
        self.max_turns = int(checked("turns", operator.index(turns), 1))
        self.max_text_bytes = len("? ") * self.max_turns

    @property
    def optimal_return(self) -> float:
        """turns/2."""
        return self.max_turns / 2

    @property
    def random_return(self) -> float:
        """(1 - 2^-turns)/2."""
        return (1 - 0.5**self.max_turns) / 2

    def problem(self, index: int) -> tuple[int, str]:
        """Turn 0."""
        return numbered(index, 1), "? "

    def outcomes(self, state: int, response: str) -> Sequence[Outcome[int]]:
        """The next turn, or the end of the episode."""
        turn, going = state + 1, response == "go"
        done = not going or turn == self.max_turns
        payments = (0.0, 1.0) if going else (0.0,)
        scores = [Score.of(paid=paid).metrics(correct=float(going and done)) for paid in payments]
        return [Outcome(1 / len(scores), Reply(turn, "" if done else "? ", score, done)) for score in scores]

    def demonstrate(self, state: int, rng: np.random.Generator) -> str:
        """To go on."""
        return "go"

    def mistake(self, state: int, rng: np.random.Generator) -> str:
        """To stop."""
        return "stop"

    def continuations(self, state: int, partial: str) -> Collection[str]:
        """Both words."""
        return "go", "stop"

    def vocabulary(self) -> Sequence[str]:
        """Both words and the question mark."""
        return "go", "stop", "? "
