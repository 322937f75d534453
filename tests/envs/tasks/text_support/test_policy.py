"""The policy: outcomes, checks, and the truth of claims."""

import pytest

from textmdp.envs.tasks.text_support.policy import (
    CLAIMS,
    RETURN_DAYS,
    TEXT,
    WARRANTY_MONTHS,
    Facts,
    breach,
    founded,
    is_true,
    outcome,
)
from textmdp.envs.tasks.text_support.shop import DELIVERED, LOST, MONTH, PACKED, SHIPPED, Account, Order, Records
from textmdp.envs.tasks.text_support.tools import Call, run


def records(status=DELIVERED, days=5, owner="Ann", **fields):
    return Records((Order(417, owner, "lamp", status, days, **fields),), (Account("Ann", 482, locked=True),))


@pytest.mark.parametrize(
    ("kind", "fields", "facts", "tool", "claim"),
    [
        ("late", {"status": SHIPPED}, {}, None, "arrives"),
        ("late", {"status": LOST}, {"want": "refund"}, "refund", "refunded"),
        ("late", {"status": LOST}, {"want": "new"}, "replace", "replaced"),
        ("wrong", {}, {}, "replace", "replaced"),
        ("wrong", {"in_stock": False}, {}, "refund", "refunded"),
        ("return", {"days": RETURN_DAYS}, {}, "refund", "refunded"),
        ("return", {"days": RETURN_DAYS + 1}, {}, None, "too_late"),
        ("return", {}, {"used": True}, None, "used"),
        ("cancel", {"status": PACKED}, {}, "cancel", "cancelled"),
        ("cancel", {"status": SHIPPED}, {}, None, "shipped"),
        ("address", {"status": PACKED}, {"code": 482, "city": "Lyon"}, "change_address", "moved"),
        ("address", {"status": PACKED}, {"code": 483, "city": "Lyon"}, None, "not_verified"),
        ("address", {"status": SHIPPED}, {"code": 482, "city": "Lyon"}, None, "shipped"),
        ("charge", {"charges": 2}, {}, "refund_charge", "refunded"),
        ("charge", {}, {}, None, "charged_once"),
        ("warranty", {"days": WARRANTY_MONTHS * MONTH}, {}, "replace", "replaced"),
        ("warranty", {"days": WARRANTY_MONTHS * MONTH + 1}, {}, None, "warranty_over"),
        ("stranger", {"owner": "Ben"}, {}, None, "not_yours"),
        ("login", {}, {"code": 482}, "unlock", "unlocked"),
        ("login", {}, {"code": 100}, None, "not_verified"),
    ],
)
def test_outcomes(kind, fields, facts, tool, claim):
    before = records(**fields)
    told = Facts(kind, 417, "Ann", **facts)
    right = outcome(told, before)
    assert (right.call and right.call.tool, right.claim) == (tool, claim)
    after = before if right.call is None else run(right.call, before).records
    assert is_true(claim, 5 if claim == "arrives" else 0, told, after)
    if right.call is not None:
        assert not is_true(claim, 0, told, before), "a deed is no news before it is done"
    others = [other for other in CLAIMS if other != claim and is_true(other, 9, told, after)]
    assert set(others) <= {"charged_once", "shipped", "too_late"}, "facts of the order that are beside the point"


def test_a_call_needs_the_checks_and_the_facts_first():
    before = records(PACKED, 0)
    right = outcome(Facts("address", 417, "Ann", 482, city="Lyon"), before)
    call, checked, told = right.call, {"lookup_order", "verify"}, {"code", "city"}
    assert breach(call, right, checked, told) == ""
    assert founded(right, checked, told)
    for missing in checked:
        assert breach(call, right, checked - {missing}, told) == "not checked first"
    for missing in told:
        assert breach(call, right, checked, told - {missing}) == "not checked first"
    assert breach(Call("change_address", 417, argument="Oslo"), right, checked, told) == "not allowed"
    assert breach(Call("refund", 417), right, checked, told) == "not allowed"
    assert breach(Call("track", 417), right, set(), set()) == ""


def test_the_text_names_the_limits():
    assert f"{RETURN_DAYS} days" in TEXT
    assert f"{WARRANTY_MONTHS} months" in TEXT
