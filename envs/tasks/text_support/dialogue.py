"""The state of a dialogue, and its transitions: a tool call, and words to the customer as they are judged."""

from __future__ import annotations

from typing import NamedTuple

from textmdp.envs.tasks.text_support import tools
from textmdp.envs.tasks.text_support.policy import (
    CLAIMS,
    DEEDS,
    NEWS,
    Facts,
    Outcome,
    breach,
    founded,
    is_true,
    outcome,
)
from textmdp.envs.tasks.text_support.scenarios import Scenario
from textmdp.envs.tasks.text_support.shop import Records
from textmdp.envs.tasks.text_support.understanding import hear
from textmdp.envs.tasks.text_support.user import Mind, Turn, facts_of

_CLAIMS = frozenset(CLAIMS)
_COURTESY = frozenset(("sorry", "thanks", "greet"))


class Dialogue(NamedTuple):
    """The hidden state of a dialogue; records that did not change are shared between states."""

    scenario: Scenario
    records: Records
    before: Records
    """The records at the beginning of the issue in hand."""
    mind: Mind
    checked: frozenset[str] = frozenset()
    """The tools that were used on the order and the account of the issue in hand."""
    failed: frozenset[str] = frozenset()
    """Those whose use failed, such as a look-up of a number that was misread."""
    turns: int = 0
    wrong_calls: int = 0
    courtesies: int = 0
    broken: str = ""
    """The rule of the policy that was broken; "" for none."""
    resolved: bool = False
    """Whether all issues are resolved."""

    @property
    def facts(self) -> Facts:
        """The facts of the issue in hand."""
        return facts_of(self.scenario, self.mind)

    @property
    def right(self) -> Outcome:
        """The right outcome of the issue in hand."""
        return outcome(self.facts, self.before)


def call(state: Dialogue, made: tools.Call) -> tuple[Dialogue, str]:
    """The state after a tool call, and the system's text; a call that breaks the policy sets `broken`."""
    result = tools.run(made, state.records)
    state = state._replace(turns=state.turns + 1)
    if not result.ok:
        return state._replace(wrong_calls=state.wrong_calls + 1, failed=state.failed | {made.tool}), result.text
    facts, right = state.facts, state.right
    rule = breach(made, right, state.checked, state.mind.told)
    if rule == "not checked first" and not state.scenario.strict:
        rule = ""
    about = made.number == facts.number if made.number else made.name == facts.name
    if about and (made.tool != "verify" or made.argument == str(facts.code)):
        state = state._replace(checked=state.checked | {made.tool})
    return state._replace(records=result.records, broken=rule), result.text


def judge(state: Dialogue, text: str) -> Turn:
    """The bot's words as they are understood, with their claims compared to the records and the policy."""
    heard, facts, right = hear(text), state.facts, state.right
    acts = heard.acts
    claims = acts & _CLAIMS
    target = tools.run(right.call, state.before).records if right.call is not None else state.before
    reached = state.records == target
    known = not state.scenario.strict or founded(right, state.checked, state.mind.told)
    false = sum(not is_true(claim, heard.days, facts, state.records) for claim in claims)
    if "done" in acts:
        done = right.call is not None and reached
        claims, false = claims | ({right.claim} if done else set()), false + (not done)
    if "refuse" in acts and right.call is not None:
        false += 1
    return Turn(
        text,
        acts,
        false,
        bool(claims) and not false and not known and not claims <= DEEDS.keys(),
        right.claim in claims and not false and reached and known,
        "done" if right.call is not None else "informed" if right.claim in NEWS else "refused",
        state.records != state.before,
    )


def courteous(turn: Turn) -> bool:
    """True for words with a greeting, thanks, an apology or a please."""
    return bool(turn.acts & _COURTESY) or "please" in turn.text.lower()


def gathered(state: Dialogue) -> float:
    """The share of the checks and questions of the policy that were made for the issue in hand, in [0, 1]."""
    right = state.right
    needed = len(right.checks) + len(right.asks)
    have = len(state.checked.intersection(right.checks)) + len(state.mind.told.intersection(right.asks))
    return have / needed if needed else 1.0
