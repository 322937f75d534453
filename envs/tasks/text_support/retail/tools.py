"""The sixteen tools of tau-bench's retail shop: each reads or changes records, and returns a text.

They have the names, arguments and effects of the retail tools of tau-bench (arXiv 2406.12045); the texts of errors may
differ. A call that the records don't allow returns a text that begins with "Error".
"""

from __future__ import annotations

import ast
import inspect
import json
import operator
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from textmdp.envs.tasks.text_support.retail.records import Records, Row

_OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_LONGEST_EXPRESSION = 200


class RefusedError(Exception):
    """A call that the records or the rules of a tool don't allow."""


def run(records: Records, tool: str, arguments: dict[str, Any]) -> str:
    """The result of a call, which may change `records`; a refused call changes nothing."""
    if tool not in TOOLS:
        return f"Error: there is no tool {tool}"
    function = TOOLS[tool]
    expected = list(inspect.signature(function).parameters)[1:]
    if set(arguments) != set(expected):
        return f"Error: {tool} takes {', '.join(expected) or 'no arguments'}"
    for name, value in arguments.items():
        listed = name.endswith("_ids")
        if not (isinstance(value, list) and all(isinstance(v, str) for v in value) if listed else type(value) is str):
            return f"Error: {name} must be {'a list of strings' if listed else 'a string'}"
    try:
        return function(records, **arguments)
    except RefusedError as error:
        return f"Error: {error}"


def _row(records: Records, table: str, key: str) -> Row:
    row = records.get(table, key)
    if row is None:
        raise RefusedError(f"{table[:-1]} not found")
    return row


def _order(records: Records, order_id: str, status: str, deed: str) -> Row:
    order = _row(records, "orders", order_id)
    if order["status"] != status:
        raise RefusedError(f"non-{status} order cannot be {deed}")
    return order


def _method(records: Records, order: Row, method: str) -> Row:
    methods: dict[str, Row] = _row(records, "users", order["user_id"])["payment_methods"]
    if method not in methods:
        raise RefusedError("payment method not found")
    return methods[method]


def _pay_by_gift_card(records: Records, order: Row, method: str, amount: float) -> None:
    """Take an amount from a gift card, or give it back if negative; other methods keep no balance."""
    if "gift_card" in method:
        card = records.edit("users", order["user_id"])["payment_methods"][method]
        card["balance"] = round(card["balance"] - amount, 2)


def _check_items(order: Row, item_ids: Sequence[str]) -> None:
    missing = Counter(item_ids) - Counter(item["item_id"] for item in order["items"])
    if missing:
        raise RefusedError(f"{next(iter(missing))} not found")


def _price_difference(records: Records, order: Row, item_ids: Sequence[str], new_item_ids: Sequence[str]) -> float:
    _check_items(order, item_ids)
    if len(item_ids) != len(new_item_ids):
        raise RefusedError("the number of items to be exchanged should match")
    difference = 0.0
    for item_id, new_id in zip(item_ids, new_item_ids, strict=True):
        item = next(item for item in order["items"] if item["item_id"] == item_id)
        variant = _row(records, "products", item["product_id"])["variants"].get(new_id)
        if variant is None or not variant["available"]:
            raise RefusedError(f"new item {new_id} not found or available")
        difference += variant["price"] - item["price"]
    return round(difference, 2)


def _check_balance(method: Row, amount: float) -> None:
    if method["source"] == "gift_card" and method["balance"] < amount:
        raise RefusedError("insufficient gift card balance")


def find_user_id_by_email(records: Records, email: str) -> str:
    """The id of the user with an email."""
    for user_id in records.base["users"]:
        if _row(records, "users", user_id)["email"].lower() == email.lower():
            return user_id
    raise RefusedError("user not found")


def find_user_id_by_name_zip(records: Records, first_name: str, last_name: str, zip: str) -> str:
    """The id of the user with a name and a postcode."""
    for user_id in records.base["users"]:
        user = _row(records, "users", user_id)
        name = (user["name"]["first_name"].lower(), user["name"]["last_name"].lower())
        if name == (first_name.lower(), last_name.lower()) and user["address"]["zip"] == zip:
            return user_id
    raise RefusedError("user not found")


def get_order_details(records: Records, order_id: str) -> str:
    """An order, as JSON."""
    return json.dumps(_row(records, "orders", order_id))


def get_product_details(records: Records, product_id: str) -> str:
    """A product with its variants, as JSON."""
    return json.dumps(_row(records, "products", product_id))


def get_user_details(records: Records, user_id: str) -> str:
    """A user, as JSON."""
    return json.dumps(_row(records, "users", user_id))


def list_all_product_types(records: Records) -> str:
    """The ids of products by name, as JSON."""
    return json.dumps({row["name"]: row["product_id"] for row in records.base["products"].values()}, sort_keys=True)


def calculate(records: Records, expression: str) -> str:
    """The value of an expression of numbers, + - * / and brackets, rounded to cents."""
    del records
    try:
        if len(expression) > _LONGEST_EXPRESSION:
            raise ValueError(f"longer than {_LONGEST_EXPRESSION} characters")
        return str(round(float(_value(ast.parse(expression.strip(), mode="eval").body)), 2))
    except (ValueError, SyntaxError, ArithmeticError, RecursionError) as error:
        raise RefusedError(f"no value: {error}") from error


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return float(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.operand))
    raise ValueError("only numbers, + - * / and brackets")


def cancel_pending_order(records: Records, order_id: str, reason: str) -> str:
    """Cancel a pending order and pay it back."""
    _order(records, order_id, "pending", "cancelled")
    if reason not in ("no longer needed", "ordered by mistake"):
        raise RefusedError("invalid reason")
    order = records.edit("orders", order_id)
    for payment in list(order["payment_history"]):
        _pay_by_gift_card(records, order, payment["payment_method_id"], -payment["amount"])
        order["payment_history"].append({**payment, "transaction_type": "refund"})
    order.update(status="cancelled", cancel_reason=reason)
    return json.dumps(order)


def modify_pending_order_address(
    records: Records, order_id: str, address1: str, address2: str, city: str, state: str, country: str, zip: str
) -> str:
    """Change the address of a pending order."""
    _order(records, order_id, "pending", "modified")
    order = records.edit("orders", order_id)
    order["address"] = _address(address1, address2, city, state, country, zip)
    return json.dumps(order)


def modify_user_address(
    records: Records, user_id: str, address1: str, address2: str, city: str, state: str, country: str, zip: str
) -> str:
    """Change the default address of a user."""
    _row(records, "users", user_id)
    user = records.edit("users", user_id)
    user["address"] = _address(address1, address2, city, state, country, zip)
    return json.dumps(user)


def _address(address1: str, address2: str, city: str, state: str, country: str, zip: str) -> Row:
    return {"address1": address1, "address2": address2, "city": city, "state": state, "country": country, "zip": zip}


def modify_pending_order_items(
    records: Records, order_id: str, item_ids: list[str], new_item_ids: list[str], payment_method_id: str
) -> str:
    """Change items of a pending order into other variants; the difference is paid or paid back at once."""
    before = _order(records, order_id, "pending", "modified")
    difference = _price_difference(records, before, item_ids, new_item_ids)
    _check_balance(_method(records, before, payment_method_id), difference)
    order = records.edit("orders", order_id)
    _pay_by_gift_card(records, order, payment_method_id, difference)
    order["payment_history"].append(_payment("payment" if difference > 0 else "refund", difference, payment_method_id))
    for item_id, new_id in zip(item_ids, new_item_ids, strict=True):
        item = next(item for item in order["items"] if item["item_id"] == item_id)
        variant = _row(records, "products", item["product_id"])["variants"][new_id]
        item.update(item_id=new_id, price=variant["price"], options=variant["options"])
    order["status"] = "pending (item modified)"
    return json.dumps(order)


def _payment(kind: str, amount: float, method: str) -> Row:
    return {"transaction_type": kind, "amount": abs(amount), "payment_method_id": method}


def modify_pending_order_payment(records: Records, order_id: str, payment_method_id: str) -> str:
    """Pay a pending order by another method."""
    before = _order(records, order_id, "pending", "modified")
    method = _method(records, before, payment_method_id)
    first, *others = before["payment_history"]
    if others or first["transaction_type"] != "payment":
        raise RefusedError("there should be exactly one payment for a pending order")
    if first["payment_method_id"] == payment_method_id:
        raise RefusedError("the new payment method should be different from the current one")
    _check_balance(method, first["amount"])
    order = records.edit("orders", order_id)
    for kind, name, sign in (("payment", payment_method_id, 1), ("refund", first["payment_method_id"], -1)):
        order["payment_history"].append(_payment(kind, first["amount"], name))
        _pay_by_gift_card(records, order, name, sign * first["amount"])
    return json.dumps(order)


def exchange_delivered_order_items(
    records: Records, order_id: str, item_ids: list[str], new_item_ids: list[str], payment_method_id: str
) -> str:
    """Request the exchange of delivered items for other variants."""
    before = _order(records, order_id, "delivered", "exchanged")
    difference = _price_difference(records, before, item_ids, new_item_ids)
    _check_balance(_method(records, before, payment_method_id), difference)
    order = records.edit("orders", order_id)
    order.update(
        status="exchange requested",
        exchange_items=sorted(item_ids),
        exchange_new_items=sorted(new_item_ids),
        exchange_payment_method_id=payment_method_id,
        exchange_price_difference=difference,
    )
    return json.dumps(order)


def return_delivered_order_items(records: Records, order_id: str, item_ids: list[str], payment_method_id: str) -> str:
    """Request the return of delivered items."""
    before = _order(records, order_id, "delivered", "returned")
    _method(records, before, payment_method_id)
    if "gift_card" not in payment_method_id and payment_method_id != before["payment_history"][0]["payment_method_id"]:
        raise RefusedError("payment method should be either the original payment method or a gift card")
    _check_items(before, item_ids)
    order = records.edit("orders", order_id)
    order.update(status="return requested", return_items=sorted(item_ids), return_payment_method_id=payment_method_id)
    return json.dumps(order)


def think(records: Records, thought: str) -> str:
    """Nothing: room for a thought."""
    del records, thought
    return ""


def transfer_to_human_agents(records: Records, summary: str) -> str:
    """Hand the customer over, which ends the dialogue."""
    del records, summary
    return "Transfer successful"


#: The tools by name.
TOOLS: dict[str, Callable[..., str]] = {
    tool.__name__: tool
    for tool in (
        calculate,
        cancel_pending_order,
        exchange_delivered_order_items,
        find_user_id_by_email,
        find_user_id_by_name_zip,
        get_order_details,
        get_product_details,
        get_user_details,
        list_all_product_types,
        modify_pending_order_address,
        modify_pending_order_items,
        modify_pending_order_payment,
        modify_user_address,
        return_delivered_order_items,
        think,
        transfer_to_human_agents,
    )
}
