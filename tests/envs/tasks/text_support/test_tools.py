"""Tool calls: their grammar and their effects on immutable records."""

import pytest

from textmdp.envs.core.task import END_OF_TURN
from textmdp.envs.tasks.text_support.shop import CANCELLED, DELIVERED, LOST, PACKED, SHIPPED, Account, Order, Records
from textmdp.envs.tasks.text_support.tools import TOOLS, Call, continuations, looks_like_a_call, parse, run, usage

RECORDS = Records(
    (
        Order(417, "Ann", "lamp", PACKED, city="Oslo"),
        Order(523, "Ann", "clock", LOST),
        Order(600, "Ben", "tent", DELIVERED, days=70, charges=2, in_stock=False),
        Order(601, "Ben", "radio", SHIPPED, days=1),
    ),
    (Account("Ann", 482, locked=True), Account("Ben", 111)),
)


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("refund 417", Call("refund", 417)),
        ("  refund   417\n", Call("refund", 417)),
        ("find_orders Ann", Call("find_orders", name="Ann")),
        ("verify Ann 482", Call("verify", name="Ann", argument="482")),
        ("change_address 417 Lyon", Call("change_address", 417, argument="Lyon")),
    ],
)
def test_calls_are_parsed(text, call):
    assert parse(text) == call


@pytest.mark.parametrize(
    "text",
    [
        "",  # nothing
        "refund",  # no order
        "refund me",  # words
        "refund 417 417",  # too many arguments
        "refund 417.",  # a full stop is no part of a number
        "refund -417",
        "refund 4१7",  # digits of other scripts
        "refund 1234567",  # longer than any number
        "Refund 417",
        "I will refund 417",
        "refund 417\nrefund 523",  # two calls
        "verify 482 Ann",
    ],
)
def test_anything_else_is_no_call(text):
    assert parse(text) is None


def test_malformed_calls_are_told_from_words():
    assert looks_like_a_call("lookup_order")
    assert looks_like_a_call("refund 417 now")
    assert not looks_like_a_call("refund it, please")
    assert not looks_like_a_call("")


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("lookup_order 417", "Order 417: lamp for Ann, packed."),
        ("lookup_order 523", "Order 523: clock for Ann, shipped."),  # a loss shows in the tracking alone
        ("lookup_order 600", "Order 600: tent for Ben, delivered 2 months ago."),
        ("track 417", "Parcel 417 has not left."),
        ("track 523", "Parcel 523 is lost."),
        ("track 601", "Parcel 601 arrives in 1 day."),
        ("check_payment 600", "Order 600 was charged twice."),
        ("check_payment 417", "Order 417 was charged once."),
        ("check_stock 600", "The tent is sold out."),
        ("find_orders Ann", "Orders of Ann: 417 lamp, 523 clock."),
        ("verify Ann 482", "The postcode is right."),
        ("verify Ann 483", "The postcode is wrong."),
    ],
)
def test_looks_change_nothing(text, result):
    found = run(parse(text), RECORDS)
    assert found.ok
    assert found.text == result
    assert found.records is RECORDS


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("refund 417", lambda r: r.order(417).refunded),
        ("refund_charge 600", lambda r: r.order(600).charge_refunded),
        ("replace 523", lambda r: r.order(523).replaced),
        ("cancel 417", lambda r: r.order(417).status == CANCELLED),
        ("change_address 417 Lyon", lambda r: r.order(417).city == "Lyon"),
        ("unlock Ann", lambda r: not r.account("Ann").locked),
    ],
)
def test_deeds_change_one_record_and_share_the_others(text, check):
    found = run(parse(text), RECORDS)
    assert found.ok
    assert check(found.records)
    assert not check(RECORDS)
    shared = [
        *zip(found.records.orders, RECORDS.orders, strict=True),
        *zip(*(r.accounts for r in (found.records, RECORDS)), strict=True),
    ]
    assert sum(one is not other for one, other in shared) == 1
    assert not run(parse(text), found.records).ok, "nothing is done twice"


@pytest.mark.parametrize(
    "text",
    [
        "refund 999",
        "cancel 601",
        "change_address 601 Lyon",
        "change_address 417 Oslo",
        "change_address 417 Atlantis",
        "replace 600",
        "refund_charge 417",
        "unlock Ben",
        "unlock Zoe",
        "find_orders Zoe",
    ],
)
def test_impossible_calls_change_nothing(text):
    found = run(parse(text), RECORDS)
    assert not found.ok
    assert found.records is RECORDS


@pytest.mark.parametrize("tool", TOOLS)
def test_the_grammar_allows_every_call(tool):
    words = {"ORDER": " 417", "NAME": " Ann", "CODE": " 482", "CITY": " Lyon"}
    tokens = [tool]
    for kind in usage(tool).split()[1:]:
        tokens += [words[kind][:2], *words[kind][2:]] if kind in ("ORDER", "CODE") else [words[kind]]
    partial = ""
    for token in (*tokens, END_OF_TURN):
        assert token in continuations(partial, TOOLS, ("It",), (" is",)), partial
        partial += token
    assert parse(partial) is not None


def test_the_grammar_allows_sentences():
    assert set(continuations("", TOOLS, ("It",), (" is",))) == {*TOOLS, "It"}
    assert set(continuations("It", TOOLS, ("It",), (" is",))) == {" is", END_OF_TURN}
