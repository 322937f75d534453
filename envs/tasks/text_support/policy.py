"""The shop's policy: who may get what, until when, and what must be checked first; pure functions of records and facts.

`TEXT` says the same in words.
"""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

from textmdp.envs.tasks.text_support.shop import CANCELLED, DELIVERED, LOST, MONTH, PACKED, SHIPPED, Records
from textmdp.envs.tasks.text_support.tools import TOOLS, Call

#: Days after the delivery in which an item may be returned.
RETURN_DAYS = 30
#: Months after the delivery in which a broken item is replaced.
WARRANTY_MONTHS = 24
#: The kinds of issue.
KINDS = ("late", "wrong", "return", "cancel", "address", "login", "charge", "warranty", "stranger")

TEXT = f"""Check first. Look at the order, the parcel, the payment, the stock or the account before you grant or refuse.
Late: track the parcel. If it is on its way, say when it arrives. If it is lost, give a refund or a new item, as the
customer likes.
Wrong item: send the right one. If it is sold out, give a refund.
Return: give a refund within {RETURN_DAYS} days of the delivery if the item is unused.
Cancel: only before the order is shipped.
Address: only before the order is shipped, and only if the postcode is right.
Login: open the account if the postcode is right.
Payment: if an order was charged twice, refund one charge. If it was charged once, say so.
Warranty: replace a broken item within {WARRANTY_MONTHS} months of the delivery.
Nobody gets anything for an order of somebody else.
If the answer is no, say why. Say that something is done only after it is done."""


class Facts(NamedTuple):
    """The facts of an issue that only the customer can tell."""

    kind: str
    """One of `KINDS`."""
    number: int
    """Of the order; 0 for a login."""
    name: str
    """The customer's."""
    code: int = 0
    """The postcode that the customer gives, which may be wrong."""
    want: str = ""
    """"refund" or "new", what the customer would like for a lost parcel."""
    used: bool = False
    """Whether an item to return was used."""
    city: str = ""
    """Where a parcel should go."""


class Outcome(NamedTuple):
    """The right outcome of an issue."""

    call: Call | None
    """The call that must have been made; None if the records must stay as they are."""
    claim: str
    """The claim that the customer must have heard, one of `CLAIMS`."""
    checks: tuple[str, ...]
    """The tools that must have been used on the order or the account before."""
    asks: tuple[str, ...]
    """The facts that the customer must have told before."""


#: Claims that something was done, and the tool that does it.
DEEDS = {
    "refunded": ("refund", "refund_charge"),
    "replaced": ("replace",),
    "cancelled": ("cancel",),
    "moved": ("change_address",),
    "unlocked": ("unlock",),
}
#: Claims that give a reason for a refusal.
REASONS = ("too_late", "used", "shipped", "warranty_over", "not_verified", "not_yours")
#: Claims that inform.
NEWS = ("arrives", "charged_once")
CLAIMS = (*DEEDS, *REASONS, *NEWS)


def outcome(facts: Facts, records: Records) -> Outcome:
    """The right outcome of an issue by the policy, given the records before it."""
    order, kind = records.order(facts.number), facts.kind
    number = facts.number
    if kind == "login":
        return _if_verified(facts, records, Call("unlock", name=facts.name), "unlocked", ())
    assert order is not None, f"the issue is about order {number}, which is not there"
    if kind == "late":
        if order.status != LOST:
            return Outcome(None, "arrives", ("track",), ())
        tool, claim = ("refund", "refunded") if facts.want == "refund" else ("replace", "replaced")
        return Outcome(Call(tool, number), claim, ("track",), ("want",))
    if kind == "wrong":
        tool, claim = ("replace", "replaced") if order.in_stock else ("refund", "refunded")
        return Outcome(Call(tool, number), claim, ("lookup_order", "check_stock"), ())
    if kind == "return":
        if order.days > RETURN_DAYS:
            return Outcome(None, "too_late", ("lookup_order",), ())
        if facts.used:
            return Outcome(None, "used", ("lookup_order",), ("used",))
        return Outcome(Call("refund", number), "refunded", ("lookup_order",), ("used",))
    if kind == "cancel":
        if order.status != PACKED:
            return Outcome(None, "shipped", ("lookup_order",), ())
        return Outcome(Call("cancel", number), "cancelled", ("lookup_order",), ())
    if kind == "address":
        if order.status != PACKED:
            return Outcome(None, "shipped", ("lookup_order",), ())
        call = Call("change_address", number, argument=facts.city)
        return _if_verified(facts, records, call, "moved", ("lookup_order",))
    if kind == "charge":
        if order.charges > 1:
            return Outcome(Call("refund_charge", number), "refunded", ("check_payment",), ())
        return Outcome(None, "charged_once", ("check_payment",), ())
    if kind == "warranty":
        if order.days > WARRANTY_MONTHS * MONTH:
            return Outcome(None, "warranty_over", ("lookup_order",), ())
        return Outcome(Call("replace", number), "replaced", ("lookup_order",), ())
    return Outcome(None, "not_yours", ("lookup_order",), ())


def _if_verified(facts: Facts, records: Records, call: Call, claim: str, checks: tuple[str, ...]) -> Outcome:
    account = records.account(facts.name)
    if account is None or account.postcode != facts.code:
        return Outcome(None, "not_verified", (*checks, "verify"), ("code",))
    asks = ("code", "city") if facts.kind == "address" else ("code",)
    return Outcome(call, claim, (*checks, "verify"), asks)


def breach(call: Call, right: Outcome, checked: Set[str], told: Set[str]) -> str:
    """The rule that a call breaks: "not allowed" or "not checked first"; "" for a call that breaks none.

    Args:
        call: the call.
        right: the right outcome of the issue.
        checked: the tools that were used on its order and its account.
        told: the facts that the customer has told.
    """
    if not TOOLS[call.tool].changes:
        return ""
    if call != right.call:
        return "not allowed"
    return "" if founded(right, checked, told) else "not checked first"


def founded(right: Outcome, checked: Set[str], told: Set[str]) -> bool:
    """True if everything that the policy wants checked and asked before the outcome was."""
    return checked >= set(right.checks) and told >= set(right.asks)


def is_true(claim: str, days: int, facts: Facts, records: Records) -> bool:
    """True if a claim agrees with the records and with the facts.

    Args:
        claim: one of `CLAIMS`.
        days: the days that an `arrives` names.
        facts: the facts of the issue.
        records: the records now.
    """
    order, account = records.order(facts.number), records.account(facts.name)
    if claim == "unlocked":
        return account is not None and not account.locked
    if claim == "not_verified":
        return bool(facts.code) and (account is None or account.postcode != facts.code)
    if order is None:
        return False
    return {
        "refunded": order.refunded or order.charge_refunded,
        "replaced": order.replaced,
        "cancelled": order.status == CANCELLED,
        "moved": bool(facts.city) and order.city == facts.city,
        "too_late": order.status == DELIVERED and order.days > RETURN_DAYS,
        "used": facts.used,
        "shipped": order.status in (SHIPPED, LOST),
        "warranty_over": order.status == DELIVERED and order.days > WARRANTY_MONTHS * MONTH,
        "not_yours": order.owner != facts.name,
        "arrives": order.status == SHIPPED and order.days == days,
        "charged_once": order.charges == 1,
    }[claim]
