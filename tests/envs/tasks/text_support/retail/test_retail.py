"""tau-bench's retail domain: its tools, and its problems graded by the final records."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from textmdp.envs import ResponseEnv
from textmdp.envs.data.data_files import DataError
from textmdp.envs.tasks.text_support.retail import TextRetail
from textmdp.envs.tasks.text_support.retail.records import Records
from textmdp.envs.tasks.text_support.retail.tools import run

RNG = np.random.default_rng(0)
FOLDER = Path(__file__).parents[6] / "shared/data/tau_bench_retail"
ADDRESS = {"address1": "1 Elm", "address2": "", "city": "Rome", "state": "RM", "country": "IT", "zip": "1"}


def order(status, *items, paid="gift_card_1"):
    amount = sum(price for _, price in items)
    return {
        "user_id": "ann_1",
        "status": status,
        "address": ADDRESS,
        "items": [{"item_id": i, "product_id": "p", "price": price, "options": {}} for i, price in items],
        "payment_history": [{"transaction_type": "payment", "amount": amount, "payment_method_id": paid}],
    }


def shop():
    variants = {
        "a": {"item_id": "a", "price": 10.0, "available": True, "options": {"size": "S"}},
        "b": {"item_id": "b", "price": 12.5, "available": True, "options": {"size": "M"}},
        "c": {"item_id": "c", "price": 90.0, "available": True, "options": {"size": "L"}},
        "d": {"item_id": "d", "price": 9.0, "available": False, "options": {"size": "X"}},
    }
    methods = {"gift_card_1": {"source": "gift_card", "balance": 20.0}, "paypal_1": {"source": "paypal"}}
    user = {
        "name": {"first_name": "Ann", "last_name": "Lee"},
        "address": ADDRESS,
        "email": "ann@example.com",
        "payment_methods": methods,
    }
    return {
        "orders": {"#W1": order("pending", ("a", 10.0)), "#W2": order("delivered", ("a", 10.0), paid="paypal_1")},
        "users": {"ann_1": user},
        "products": {"p": {"name": "Shirt", "product_id": "p", "variants": variants}},
    }


@pytest.fixture
def records():
    return Records(shop())


@pytest.fixture
def folder(tmp_path):
    for name, table in shop().items():
        (tmp_path / f"{name}.json").write_text(json.dumps(table))
    cancel = {"name": "cancel_pending_order", "kwargs": {"order_id": "#W1", "reason": "no longer needed"}}
    problem = {"user_id": "ann_1", "instruction": "Cancel #W1.", "actions": [cancel], "outputs": ["1,030.5"]}
    (tmp_path / "tasks_test.jsonl").write_text(json.dumps(problem))
    return tmp_path


def call(records, tool, **arguments):
    return run(records, tool, arguments)


def balance(records):
    return records.get("users", "ann_1")["payment_methods"]["gift_card_1"]["balance"]


def test_a_cancellation_pays_back_to_the_gift_card(records):
    call(records, "cancel_pending_order", order_id="#W1", reason="ordered by mistake")
    assert records.get("orders", "#W1")["status"] == "cancelled"
    assert balance(records) == 30.0
    assert [p["transaction_type"] for p in records.get("orders", "#W1")["payment_history"]] == ["payment", "refund"]


def test_modified_items_cost_the_difference(records):
    arguments = {"order_id": "#W1", "item_ids": ["a"], "payment_method_id": "gift_card_1"}
    call(records, "modify_pending_order_items", new_item_ids=["b"], **arguments)
    changed = records.get("orders", "#W1")
    assert (changed["items"][0]["item_id"], changed["items"][0]["price"]) == ("b", 12.5)
    assert changed["status"] == "pending (item modified)"
    assert balance(records) == 17.5
    assert "cannot be modified" in call(records, "modify_pending_order_items", new_item_ids=["b"], **arguments)


def test_another_payment_method_pays_and_the_first_is_paid_back(records):
    call(records, "modify_pending_order_payment", order_id="#W1", payment_method_id="paypal_1")
    assert balance(records) == 30.0
    assert len(records.get("orders", "#W1")["payment_history"]) == 3


def test_requests_for_delivered_orders(records):
    arguments = {"order_id": "#W2", "item_ids": ["a"], "payment_method_id": "gift_card_1"}
    twin = Records(shop())
    call(records, "return_delivered_order_items", **arguments)
    call(twin, "exchange_delivered_order_items", new_item_ids=["b"], **arguments)
    assert records.get("orders", "#W2")["status"] == "return requested"
    assert twin.get("orders", "#W2")["exchange_price_difference"] == 2.5


@pytest.mark.parametrize(
    ("tool", "arguments", "reason"),
    [
        ("cancel_pending_order", {"order_id": "#W2", "reason": "no longer needed"}, "non-pending"),
        ("cancel_pending_order", {"order_id": "#W1", "reason": "bored"}, "invalid reason"),
        ("cancel_pending_order", {"order_id": "#W1"}, "takes order_id, reason"),
        ("cancel_pending_order", {"order_id": 1, "reason": "no longer needed"}, "order_id must be a string"),
        ("modify_pending_order_items", ("#W1", ["a"], ["c"], "gift_card_1"), "insufficient gift card"),
        ("modify_pending_order_items", ("#W1", ["a"], ["d"], "paypal_1"), "not found or available"),
        ("modify_pending_order_items", ("#W1", ["a", "a"], ["b", "b"], "paypal_1"), "a not found"),
        ("modify_pending_order_items", ("#W1", ["a"], ["b"], "paypal_2"), "payment method not found"),
        ("modify_pending_order_payment", {"order_id": "#W1", "payment_method_id": "gift_card_1"}, "different"),
        ("find_user_id_by_email", {"email": "x"}, "user not found"),
        ("calculate", {"expression": "2 ** 9"}, "only numbers"),
        ("calculate", {"expression": "1 / 0"}, "no value"),
        ("pay", {}, "no tool pay"),
    ],
)
def test_a_refused_call_changes_nothing(records, tool, arguments, reason):
    if isinstance(arguments, tuple):
        names = ("order_id", "item_ids", "new_item_ids", "payment_method_id")
        arguments = dict(zip(names, arguments, strict=True))
    result = run(records, tool, arguments)
    assert result.startswith("Error")
    assert reason in result
    assert records.changes == ()


def test_looks_change_nothing(records):
    assert call(records, "find_user_id_by_name_zip", first_name="ann", last_name="LEE", zip="1") == "ann_1"
    assert call(records, "calculate", expression="(1.5 + 2) * -3") == "-10.5"
    assert json.loads(call(records, "list_all_product_types")) == {"Shirt": "p"}
    assert records.changes == ()


def test_the_loaded_tables_are_never_written_to(records):
    before = shop()
    call(records, "modify_user_address", user_id="ann_1", **{**ADDRESS, "city": "Oslo"})
    assert records.base == before
    assert Records(before, records.changes).get("users", "ann_1")["address"]["city"] == "Oslo"
    call(records, "modify_user_address", user_id="ann_1", **ADDRESS)
    assert records.changes == ()


def test_the_reward_wants_the_records_and_the_outputs(folder):
    task = TextRetail(folder)
    start, opening = task.problem(0)
    assert opening == "customer: Cancel #W1.\nagent: "
    done = task.reply(start, task.demonstrate(start, RNG), RNG)
    assert (done.done, done.score.total) == (False, 0.0)
    assert task.reply(done.state, "You get 1030.5 dollars.", RNG).score.total == 1.0
    assert task.reply(done.state, "You get it.", RNG).score.total == 0.0
    assert task.reply(start, "You get 1030.5 dollars.", RNG).score.parts["outputs"] == 1.0
    assert task.reply(start, "You get 1030.5 dollars.", RNG).score.total == 0.0
    assert task.reply(done.state, 'transfer_to_human_agents {"summary": ""}', RNG).done
    assert hash(done.state) == hash(pickle.loads(pickle.dumps(done.state)))


def test_folders_that_are_not_tau_bench_s(folder, tmp_path):
    (folder / "tasks_test.jsonl").write_text('{"user_id": "ann_1"}')
    with pytest.raises(DataError, match="line 1"):
        TextRetail(folder)
    (folder / "orders.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks orders\.json"):
        TextRetail(folder)


@pytest.fixture(scope="module")
def task():
    if not FOLDER.is_dir():
        pytest.skip(f"the data of tau-bench is not in {FOLDER}")
    return TextRetail(FOLDER)


def test_reference_calls_solve_every_problem(task):
    env = ResponseEnv(task, tokenizer="bytes")
    for index in range(task.num_problems):
        env.reset(seed=0, options={"problem": index})
        ended, total = False, 0.0
        while not ended:
            _, reward, terminated, truncated, _ = env.step(env.demonstrate())
            ended, total = terminated or truncated, total + reward
        assert total == 1.0, index


def test_the_references_that_change_records_are_possible_but_four(task):
    refused = task.refused_references()
    changing = ("cancel", "modify", "exchange", "return")
    assert [i for i, calls in refused.items() if any(c.startswith(changing) for c in calls)] == [12, 13, 64, 106]


def test_doing_nothing_solves_what_asks_for_nothing(task):
    starts = [task.problem(index)[0] for index in range(task.num_problems)]
    solved = sum(task.reply(start, "Done.", RNG).score.total for start in starts)
    assert solved == 7
