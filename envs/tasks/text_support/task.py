"""TextSupport: a support bot, a customer, many turns, and one reward at the end."""

from __future__ import annotations

import operator
from collections.abc import Collection, Sequence

import numpy as np

from textmdp.envs.core.task import Reply, Score, Task
from textmdp.envs.data.counter_rng import CounterRNG, CounterStreams
from textmdp.envs.tasks.text_support import tools
from textmdp.envs.tasks.text_support.dialogue import Dialogue, call, courteous, gathered, judge
from textmdp.envs.tasks.text_support.expert import SENTENCES, mediocre_act, next_act, write
from textmdp.envs.tasks.text_support.lexicon import (
    AGENT,
    BROKEN,
    CUSTOMER,
    OPENING,
    SYSTEM,
    bot_tokens,
    longest_message,
    pieces,
    sentence_starts,
    tool_names,
    vocabulary,
)
from textmdp.envs.tasks.text_support.policy import TEXT
from textmdp.envs.tasks.text_support.scenarios import DEFAULT_LEVEL, LEVELS, SPLITS, draw
from textmdp.envs.tasks.text_support.user import BEST_MOOD, Answer, Request, RuleUser, Turn, User
from textmdp.envs.tokenizers import LexiconTokenizer, Tokenizer


class TextSupport(Task[Dialogue]):
    r"""Solve a customer's problem: questions, tool calls and words, and one reward at the end.

    ## Description
    The policy is the support bot of a shop. A customer writes, and each response is either words to the customer, who
    answers, or a tool call, whose result comes back as the next turn. After some turns the issue is resolved, and the
    customer says so, or it never is. Late parcels, wrong items, returns, cancellations, changes of address, locked
    accounts, double charges, warranties, and people who want something for an order that isn't theirs: a policy says
    who may get what, until when, and what must be checked first (`textmdp.envs.tasks.text_support.policy.TEXT`).

    ```text
    customer: I am waiting for my kettle. Where is it?
    agent: Which order is it?
    customer: It is 417.
    agent: track 417
    system: Parcel 417 is lost.
    agent: It is lost. A refund or a new one?
    customer: A refund, please.
    agent: refund 417
    system: Order 417 is refunded.
    agent: You have your money back.
    customer: Thank you, that is all.
    ```

    | difficulty | a dialogue | turns of an expert | budget in turns, in tokens a turn |
    |---|---|---|---|
    | `entry` | a question or a cancellation, 60 words, without checks | 2 | 3, 5 |
    | `easy` | five kinds of issue, the order's number given | 2 to 4 | 6, 20 |
    | `medium` (default) | nine kinds, refusals, five manners, some vague | 2 to 8 | 10, 20 |
    | `hard` | numbers misread or unknown, customers who change their mind | 2 to 11 | 14, 20 |
    | `long` | two issues, one after the other | 4 to 18 | 24, 20 |

    ## Action space
    Text. A response that is nothing but a call in the forms below is a tool call; anything else is words, which the
    customer understands in whatever way they are put (`textmdp.envs.tasks.text_support.understanding`).

    | call | result |
    |---|---|
    | `lookup_order ORDER` | item, customer, state |
    | `track ORDER` | the parcel: lost, or the days until it arrives |
    | `check_payment ORDER`, `check_stock ORDER` | charged once or twice; in stock or sold out |
    | `find_orders NAME` | the customer's orders |
    | `verify NAME CODE` | whether the postcode is right |
    | `refund ORDER`, `refund_charge ORDER` | pays back the order, or one of two charges |
    | `replace ORDER`, `cancel ORDER`, `change_address ORDER CITY`, `unlock NAME` | changes the records |

    The compact tokenizer has a lexicon of words. With `grammar=True`, action masks allow calls with arguments of their
    form, and the words of the expert's sentences.

    ## Observation space
    The transcript. Turns of the environment begin with `customer: ` or `system: ` and end with `agent: `.

    ## Rewards
    `resolved`, 1 or 0 at the end, is the reward. An issue is resolved if the records are as the policy wants them, and
    the customer has heard what it wants them to know, in any words: that the deed is done, after it is done; why the
    answer is no; when the parcel comes. A call that the policy forbids, or that was not checked first, ends the
    dialogue unresolved. Metrics are `turns`, `wrong_calls` (that the records don't allow), `policy_broken` (0 or 1),
    `gathered` (the share of the policy's checks and questions that were made), `politeness` (the share of turns with a
    courtesy) and `mood` (of the customer, from -1 to 1). The potential of `reward="dense"` is the share of checks,
    questions, deeds and words on the way to the resolution.

    ## Starting state
    Problem `index` is a scenario: a shop with its records, a customer with one or two issues, what they know, how they
    talk, and how patient they are. Its split is a function of its content: one in five is held out.

    ## Episode end
    The episode terminates when the issue is resolved, when the customer leaves (loops, nonsense and untruths cost
    patience), when the policy was broken, or when the turns are used up, which is unresolved.

    ## Arguments
    - `difficulty`: a name from the table.
    - `split`: `"train"`, `"test"` or `"all"`.
    - `seed`: the order of the scenarios.
    - `grammar`: whether `continuations` and the action masks follow the grammar.
    - `show_policy`: whether the opening begins with the policy's text.
    - `user`: who plays the customer, see `textmdp.envs.tasks.text_support.user.User`; None for the one made of rules.

    ## Version history
    - v0: first release.
    """

    def __init__(
        self,
        difficulty: str = DEFAULT_LEVEL,
        split: str = "train",
        seed: int = 0,
        grammar: bool = False,
        show_policy: bool = False,
        user: User | None = None,
    ):
        if difficulty not in LEVELS:
            raise ValueError(f"difficulty={difficulty!r} is none of {', '.join(map(repr, LEVELS))}")
        if split not in SPLITS:
            raise ValueError(f"split={split!r} is none of {', '.join(map(repr, SPLITS))}")
        self.difficulty, self.split = difficulty, split
        self.level = LEVELS[difficulty]
        self.user = RuleUser() if user is None else user
        self._streams = CounterStreams("support", operator.index(seed), split, difficulty)
        self._grammar = bool(grammar)
        self._preface = f"{TEXT}\n\n" if show_policy else ""
        self._show_policy = bool(show_policy)
        self.max_turns = self.level.max_turns
        self.max_response_tokens = self.level.max_response_tokens
        longest = longest_message(difficulty)
        self.max_text_bytes = len(self._preface.encode()) + longest.bytes * (self.max_turns + 1)
        preface = len(pieces(self._preface))
        self.max_text_tokens = preface + longest.tokens * (self.max_turns + 1)

    def problem(self, index: int) -> tuple[Dialogue, str]:
        """Scenario `index` and the customer's first message."""
        return self.problems([index])[0]

    def problems(self, indices: Sequence[int]) -> list[tuple[Dialogue, str]]:
        """`problem` for each index."""
        problems = []
        for start in self._streams.of_problems(indices).tolist():
            scenario = draw(CounterRNG(start), self.level, self.split)
            opened = self.user.open(scenario)
            state = Dialogue(scenario, scenario.records, scenario.records, opened.mind)
            problems.append((state, f"{self._preface}{OPENING}{opened.text}{AGENT}"))
        return problems

    def reply(self, state: Dialogue, response: str, rng: np.random.Generator) -> Reply[Dialogue]:
        """The system's answer to a tool call, or the customer's to words."""
        return self.reply_many([state], [response], [rng])[0]

    def reply_many(
        self, states: Sequence[Dialogue], responses: Sequence[str], rngs: Sequence[np.random.Generator]
    ) -> list[Reply[Dialogue]]:
        """`reply` for each response; all customers answer together."""
        replies: list[Reply[Dialogue] | None] = []
        requests: list[Request] = []
        for index, (state, response) in enumerate(zip(states, responses, strict=True)):
            made = tools.parse(response)
            if made is not None or tools.looks_like_a_call(response):
                replies.append(self._system(state, response, made))
                continue
            replies.append(None)
            requests.append(Request(state.scenario, state.mind, judge(state, response), rngs[index]))
        answers = iter(zip(requests, self.user.answers(requests), strict=True)) if requests else iter(())
        return [
            self._customer(state, *next(answers)) if reply is None else reply
            for state, reply in zip(states, replies, strict=True)
        ]

    def _system(self, state: Dialogue, response: str, made: tools.Call | None) -> Reply[Dialogue]:
        if made is None:
            state = state._replace(turns=state.turns + 1, wrong_calls=state.wrong_calls + 1)
            text = "That is not possible."
        else:
            state, text = call(state, made)
        return self._reply(state, f"{SYSTEM}{BROKEN[state.broken] if state.broken else text}", bool(state.broken))

    def _customer(self, state: Dialogue, request: Request, answer: Answer) -> Reply[Dialogue]:
        turn: Turn = request.turn
        last = state.mind.issue + 1 == len(state.scenario.issues)
        state = state._replace(mind=answer.mind, turns=state.turns + 1, courtesies=state.courtesies + courteous(turn))
        if turn.resolved and not last:
            state = state._replace(before=state.records, checked=frozenset(), failed=frozenset())
        resolved = turn.resolved and last
        state = state._replace(resolved=resolved)
        return self._reply(state, f"{CUSTOMER}{answer.text}", resolved or answer.leaves)

    def _reply(self, state: Dialogue, text: str, done: bool) -> Reply[Dialogue]:
        done = done or state.turns >= self.max_turns
        parts = {
            "resolved": float(state.resolved),
            "turns": float(state.turns),
            "wrong_calls": float(state.wrong_calls),
            "policy_broken": float(bool(state.broken)),
            "gathered": gathered(state),
            "politeness": state.courtesies / state.turns,
            "mood": state.mind.mood / BEST_MOOD,
        }
        return Reply(state, text if done else text + AGENT, Score(parts, {"resolved": 1.0}), done)

    def success(self, scores: Sequence[Score]) -> bool:
        """True if the issue was resolved."""
        return bool(scores) and scores[-1].parts["resolved"] == 1.0

    def demonstrate(self, state: Dialogue, rng: np.random.Generator) -> str:
        """The next call or sentence of an expert."""
        return write(next_act(state), state, int(rng.integers(1 << 16)))

    def mistake(self, state: Dialogue, rng: np.random.Generator) -> str:
        """A plausible mistake: a check left out, a claim before the deed, a refund for everybody."""
        return write(mediocre_act(state, rng), state, int(rng.integers(1 << 16)))

    def potential(self, state: Dialogue, partial: str) -> float:
        """Progress towards the resolution, in [0, 1)."""
        right, act = state.right, next_act(state)
        needed = len(right.checks) + len(right.asks)
        steps = needed + 3  # the problem, the order's number, the deed
        done = gathered(state) * needed + ("kind" in state.mind.told) + (state.mind.number == state.facts.number)
        done += right.call is not None and state.records != state.before
        done += 0.9 * max(_begun(write(act, state, variant), partial) for variant in range(2))
        return (state.mind.issue + done / (steps + 1)) / len(state.scenario.issues)

    def continuations(self, state: Dialogue, partial: str) -> Collection[str] | None:
        """With `grammar=True`, the tokens of a tool call or of the bot's sentences; None without."""
        if not self._grammar:
            return None
        entry = not self.level.strict
        return tools.continuations(partial, tool_names(entry), sentence_starts(entry), bot_tokens(entry))

    @property
    def has_grammar(self) -> bool:
        """Whether there is a grammar."""
        return self._grammar

    def vocabulary(self) -> Sequence[str] | None:
        """The words of customers, system and bot at this level; None (bytes) for another user, who has its own."""
        return vocabulary(self.difficulty, self._show_policy) if type(self.user) is RuleUser else None

    def response_budget(self, tokenizer: Tokenizer) -> int:
        """The level's budget for the compact lexicon; for other tokenizers twice the expert's longest sentence."""
        if isinstance(tokenizer, LexiconTokenizer):
            return self.max_response_tokens
        return 1 + 2 * max(len(tokenizer.encode(text)) for texts in SENTENCES.values() for text in texts)


def _begun(goal: str, partial: str) -> float:
    """The share of a response that an unfinished one has written; 0 if it goes another way."""
    return len(partial) / len(goal) if goal.startswith(partial) else 0.0
