"""Tool calls: their grammar, and their effects as pure functions of a shop's records.

A response is a call if it is nothing but `TOOL ARGUMENT …` in the forms of `TOOLS`; anything else is words to the
customer. ORDER is the number of an order, NAME a customer's name, CODE a postcode, CITY a city.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from textmdp.envs.core.task import END_OF_TURN
from textmdp.envs.tasks.text_support.shop import (
    CANCELLED,
    CITIES,
    DELIVERED,
    LOST,
    NAMES,
    PACKED,
    SHIPPED,
    Account,
    Order,
    Records,
    age,
)

_LONGEST_NUMBER = 6


class Call(NamedTuple):
    """A tool call."""

    tool: str
    number: int = 0
    """Of the order; 0 where the tool takes a name."""
    name: str = ""
    argument: str = ""
    """The postcode or the city."""


class Result(NamedTuple):
    """The result of a call."""

    records: Records
    text: str
    ok: bool
    """False for a call that the records don't allow, which changes nothing."""


class Tool(NamedTuple):
    """A tool: its arguments, whether it changes records, and its effect on an order or an account."""

    arguments: tuple[str, ...]
    changes: bool
    of_order: Callable[[Order, str], tuple[Order, str]] | None = None
    of_account: Callable[[Account, str], tuple[Account, str]] | None = None


def _lookup(order: Order, _: str) -> tuple[Order, str]:
    state = {
        PACKED: "packed",
        SHIPPED: "shipped",
        LOST: "shipped",
        CANCELLED: "cancelled",
        DELIVERED: f"delivered {age(order.days)} ago",
    }[order.status]
    notes = (", refunded" if order.refunded else "") + (", replaced" if order.replaced else "")
    return order, f"Order {order.number}: {order.item} for {order.owner}, {state}{notes}."


def _track(order: Order, _: str) -> tuple[Order, str]:
    state = {
        PACKED: "has not left",
        SHIPPED: f"arrives in {age(order.days)}",
        LOST: "is lost",
        CANCELLED: "was cancelled",
        DELIVERED: f"was delivered {age(order.days)} ago",
    }[order.status]
    return order, f"Parcel {order.number} {state}."


def _check_payment(order: Order, _: str) -> tuple[Order, str]:
    return order, f"Order {order.number} was charged {'twice' if order.charges > 1 else 'once'}."


def _check_stock(order: Order, _: str) -> tuple[Order, str]:
    return order, f"The {order.item} is {'in stock' if order.in_stock else 'sold out'}."


def _refund(order: Order, _: str) -> tuple[Order, str]:
    if order.refunded or order.status == CANCELLED:
        return order, ""
    return order._replace(refunded=True), f"Order {order.number} is refunded."


def _refund_charge(order: Order, _: str) -> tuple[Order, str]:
    if order.charges < 2 or order.charge_refunded:
        return order, ""
    return order._replace(charge_refunded=True), f"One charge of order {order.number} is refunded."


def _replace(order: Order, _: str) -> tuple[Order, str]:
    if order.replaced or not order.in_stock:
        return order, ""
    return order._replace(replaced=True), f"A new {order.item} is on its way."


def _cancel(order: Order, _: str) -> tuple[Order, str]:
    if order.status != PACKED:
        return order, ""
    return order._replace(status=CANCELLED), f"Order {order.number} is cancelled."


def _change_address(order: Order, city: str) -> tuple[Order, str]:
    if order.status != PACKED or order.city == city:
        return order, ""
    return order._replace(city=city), f"Order {order.number} goes to {city}."


def _verify(account: Account, code: str) -> tuple[Account, str]:
    fits = int(code) == account.postcode
    return account, f"The postcode is {'right' if fits else 'wrong'}."


def _unlock(account: Account, _: str) -> tuple[Account, str]:
    if not account.locked:
        return account, ""
    return account._replace(locked=False), f"The account of {account.name} is open."


#: The tools by name. `find_orders` looks through all orders.
TOOLS: dict[str, Tool] = {
    "lookup_order": Tool(("ORDER",), False, of_order=_lookup),
    "track": Tool(("ORDER",), False, of_order=_track),
    "check_payment": Tool(("ORDER",), False, of_order=_check_payment),
    "check_stock": Tool(("ORDER",), False, of_order=_check_stock),
    "find_orders": Tool(("NAME",), False),
    "verify": Tool(("NAME", "CODE"), False, of_account=_verify),
    "refund": Tool(("ORDER",), True, of_order=_refund),
    "refund_charge": Tool(("ORDER",), True, of_order=_refund_charge),
    "replace": Tool(("ORDER",), True, of_order=_replace),
    "cancel": Tool(("ORDER",), True, of_order=_cancel),
    "change_address": Tool(("ORDER", "CITY"), True, of_order=_change_address),
    "unlock": Tool(("NAME",), True, of_account=_unlock),
}


def usage(tool: str) -> str:
    """The form of a tool's calls.

    >>> usage("verify")
    'verify NAME CODE'
    """
    return " ".join((tool, *TOOLS[tool].arguments))


def parse(response: str) -> Call | None:
    """The call that a response is; None for words, which includes calls of a wrong form.

    >>> parse("refund 417"), parse("refund 417 now")
    (Call(tool='refund', number=417, name='', argument=''), None)
    """
    words = response.split()
    tool = TOOLS.get(words[0]) if words else None
    if tool is None or len(words) != 1 + len(tool.arguments):
        return None
    number, name, argument = 0, "", ""
    for kind, word in zip(tool.arguments, words[1:], strict=True):
        if kind in ("ORDER", "CODE"):
            if not (word.isascii() and word.isdigit() and len(word) <= _LONGEST_NUMBER):
                return None
            number, argument = (int(word), argument) if kind == "ORDER" else (number, word)
        elif kind == "NAME":
            name = word
        else:
            argument = word
    return Call(words[0], number, name, argument)


def looks_like_a_call(response: str) -> bool:
    """True if a response begins with the name of a tool that is no English word, or with any tool and a number."""
    words = response.split(None, 2)
    return bool(words) and words[0] in TOOLS and ("_" in words[0] or (len(words) > 1 and words[1][:1].isdigit()))


def run(call: Call, records: Records) -> Result:
    """The result of a call: the records after it, and the text that the shop's system shows."""
    tool = TOOLS[call.tool]
    if tool.of_order is not None:
        order = records.order(call.number)
        if order is None:
            return Result(records, f"There is no order {call.number}.", False)
        if call.tool == "change_address" and call.argument not in CITIES:
            return Result(records, "There is no such city.", False)
        after, text = tool.of_order(order, call.argument)
        if not text:
            return Result(records, "That is not possible.", False)
        return Result(records if after is order else records.with_order(after), text, True)
    account = records.account(call.name)
    if account is None:
        return Result(records, "There is no such customer.", False)
    if tool.of_account is None:
        found = [f"{order.number} {order.item}" for order in records.orders if order.owner == call.name]
        return Result(records, f"Orders of {call.name}: {', '.join(found) or 'none'}.", True)
    changed, text = tool.of_account(account, call.argument)
    if not text:
        return Result(records, "That is not possible.", False)
    return Result(records if changed is account else records.with_account(changed), text, True)


def continuations(
    partial: str, names: Collection[str], sentence_starts: Collection[str], words: Collection[str]
) -> Collection[str]:
    """The tokens that may follow an unfinished response: a tool with arguments of its form, or a sentence.

    Args:
        partial: the response so far.
        names: of the tools.
        sentence_starts: tokens that words to the customer begin with.
        words: tokens that may follow in a sentence.
    """
    if not partial:
        return (*names, *sentence_starts)
    tool, *written = partial.split(" ")
    if tool not in names:
        return (*words, END_OF_TURN)
    kinds = TOOLS[tool].arguments
    if len(written) > len(kinds):
        return (END_OF_TURN,)  # written without the grammar
    following: list[str] = []
    kind = kinds[len(written) - 1] if written else ""
    if kind in ("ORDER", "CODE") and len(written[-1]) < _LONGEST_NUMBER:
        following.extend("0123456789")
    if len(written) == len(kinds):
        return (*following, END_OF_TURN)
    upcoming = kinds[len(written)]
    if upcoming in ("ORDER", "CODE"):
        following.extend(f" {digit}" for digit in range(10))
    else:
        following.extend(f" {word}" for word in (NAMES if upcoming == "NAME" else CITIES))
    return following
