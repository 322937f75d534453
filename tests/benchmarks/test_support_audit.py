"""The audit of the simulated customer, on a few dialogues of every level."""

import json
import sys

import pytest

from textmdp.benchmarks import support_audit
from textmdp.benchmarks.support_audit import CHEATS, EXPERTS, audit, problems, report
from textmdp.envs.tasks.text_support import TextSupport
from textmdp.envs.tasks.text_support.scenarios import LEVELS

POLICIES = {**EXPERTS, **CHEATS}


@pytest.mark.parametrize("name", POLICIES)
def test_no_policy_fails_the_audit(name):
    row = report(name, POLICIES[name], dialogues=250, levels=tuple(LEVELS), seed=7)
    assert list(problems(row)) == []


def test_the_audit_notices_failures():
    row = {"policy": "expert", "resolved": 0.99, "leaks": 1, "false_resolutions": 2, "false_farewells": 3}
    found = list(problems({**row, "missed_lies": 4}))
    assert len(found) == 5
    assert list(problems({**dict.fromkeys(row, 0), "policy": "echo", "resolved": 0.06, "missed_lies": 0})) != []


def test_a_false_promise_is_caught():
    task = TextSupport("medium")
    for index in range(40):
        found = audit(task, index, lambda seen: "I have refunded you." if seen.turn else "It is refunded.")
        assert found.lies > 0
        assert found.missed_lies == 0
        assert not found.resolved


def test_the_audit_writes_its_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["support_audit", "--dialogues", "10", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        support_audit.main()
    written = json.loads((tmp_path / "support_audit.json").read_text())
    assert end.value.code == bool(written["problems"])
    assert [row["policy"] for row in written["policies"][:3]] == list(EXPERTS)
    assert "silent" in capsys.readouterr().out
