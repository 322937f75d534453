"""The expert's next response, from what the dialogue has shown, and a mediocre expert's."""

from __future__ import annotations

import numpy as np

from textmdp.envs.tasks.text_support.dialogue import Dialogue
from textmdp.envs.tasks.text_support.policy import DEEDS, NEWS
from textmdp.envs.tasks.text_support.shop import LOST, SHIPPED, age
from textmdp.envs.tasks.text_support.tools import TOOLS, Call

#: The expert's sentences by act; `{days}` and `{city}` are filled in.
SENTENCES: dict[str, tuple[str, ...]] = {
    "ask_kind": ("What is the problem?", "How can I help you?"),
    "ask_number": ("Which order is it?", "What is the order number?"),
    "ask_number_again": ("Sorry, I can't find it. Which order is it?", "What is the right order number, please?"),
    "ask_name": ("What is your name?", "Your name, please?"),
    "ask_item": ("Which item is it?", "What did you buy?"),
    "ask_code": ("What is your postcode?", "Your postcode, please?"),
    "ask_want": ("It is lost. A refund or a new one?", "Sorry, it is lost. Do you want a refund or a new one?"),
    "ask_used": ("Did you use it?", "Is it still in the box?"),
    "ask_city": ("What is the new address?", "Where should it go?"),
    "refunded": ("It is refunded.", "You have your money back."),
    "replaced": ("A new one is on its way.", "I sent you a new one."),
    "cancelled": ("It is cancelled.", "Your order is cancelled."),
    "moved": ("It goes to {city} now.", "The address is changed."),
    "unlocked": ("Your account is open.", "You can log in now."),
    "too_late": ("Sorry, the 30 days are over.", "Sorry, that is too late."),
    "used": ("Sorry, it was used.", "Sorry, we can't take it back, it was used."),
    "shipped": ("Sorry, it was shipped.", "Sorry, it is on its way."),
    "warranty_over": ("Sorry, the warranty is over.", "Sorry, it is out of warranty."),
    "not_verified": ("Sorry, the postcode is wrong.", "Sorry, that is not the right postcode."),
    "not_yours": ("Sorry, it is not your order.", "Sorry, only your neighbour can do that."),
    "arrives": ("It arrives in {days}.", "You have it in {days}."),
    "charged_once": ("You paid only once.", "There was only one charge."),
}
#: Sentences that an expert does not need and others may.
SPARE = (
    "Hello. I am sorry. One moment, please. Thank you. I will look. I will refund it. I can't do that. It is done.",
    "Is there anything else? You will have it soon. I am here for you. No, it is not. Please wait.",
)
#: The sentences of the entry level.
ENTRY_SENTENCES = {"cancelled": ("Cancelled.",), "arrives": ("{days}.",)}


def next_act(state: Dialogue) -> str | Call:
    """The expert's next act: a key of `SENTENCES` or a call, from what the dialogue has shown so far."""
    scenario, mind, facts, right = state.scenario, state.mind, state.facts, state.right
    told, checked = mind.told, state.checked
    if "kind" not in told:
        return "ask_kind"
    number = mind.number
    if facts.kind != "login" and number != facts.number:
        if number and not state.failed & {"lookup_order", "track", "check_payment"}:
            return Call(_first_check(state), number)  # the number was misread, which only a look shows
        if number:
            return "ask_number_again"
        if "number_unknown" not in told:
            return "ask_number"
        if "name" not in told:
            return "ask_name"
        if "find_orders" not in checked:
            return Call("find_orders", name=scenario.name)
        if "item" not in told:
            return "ask_item"
    if not scenario.strict:
        checks: tuple[str, ...] = () if right.call is not None else right.checks
    else:
        checks = right.checks
    for tool in checks:
        if tool not in checked and tool != "verify":
            return Call(tool, facts.number)
    if scenario.strict:
        if facts.kind == "login" and "name" not in told:
            return "ask_name"
        for fact in right.asks:
            if fact not in told:
                return f"ask_{fact}"
        if "verify" in checks and "verify" not in checked:
            return Call("verify", name=scenario.name, argument=str(scenario.code))
    if right.call is not None and state.records == state.before:
        return right.call
    return right.claim


def _first_check(state: Dialogue) -> str:
    return next((tool for tool in state.right.checks if TOOLS[tool].arguments == ("ORDER",)), "lookup_order")


def mediocre_act(state: Dialogue, rng: np.random.Generator) -> str | Call:
    """A plausible wrong act: a check left out, a claim before the deed, the wrong answer to an issue."""
    right, act = state.right, next_act(state)
    if not state.scenario.strict:
        if (isinstance(act, Call) and not TOOLS[act.tool].changes) or act in NEWS:
            return Call("cancel", state.facts.number)
        return "cancelled"
    deed = Call("refund", state.mind.number or state.facts.number)
    if isinstance(act, str) and act.startswith("ask_"):
        # Not asking: with an order in hand act at once, else promise.
        return "promise" if "kind" not in state.mind.told or not state.mind.number else "ask_kind"
    if isinstance(act, Call) and TOOLS[act.tool].changes:
        return right.claim  # says that it is done, and does nothing
    if isinstance(act, Call):
        wrong = ("refunded", "too_late", "shipped")
        return wrong[int(rng.integers(len(wrong)))] if rng.random() < 0.5 else deed
    return "else" if act in DEEDS else deed


def write(act: str | Call, state: Dialogue, variant: int) -> str:
    """The response of an act."""
    if isinstance(act, Call):
        words = {"ORDER": str(act.number), "NAME": act.name, "CODE": act.argument, "CITY": act.argument}
        return " ".join((act.tool, *(words[kind] for kind in TOOLS[act.tool].arguments)))
    extra = {"promise": ("I will look.",), "else": ("Is there anything else?",)}
    table = ENTRY_SENTENCES if not state.scenario.strict else SENTENCES
    sentences = table.get(act) or SENTENCES.get(act) or extra[act]
    facts = state.facts
    order = state.before.order(facts.number)
    days = order.days if order is not None and order.status in (SHIPPED, LOST) and order.days else 5
    return sentences[variant % len(sentences)].format(days=age(days), city=facts.city)
