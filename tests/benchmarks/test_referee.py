"""The referee's table: a verdict for every row of the table of algorithms, and for every known fault and its twin."""

from textmdp.agents.algorithms.objectives import OBJECTIVES
from textmdp.agents.credit.known_faults import KNOWN_FAULTS
from textmdp.benchmarks import referee
from textmdp.envs.tasks.diagnostics import TextDelay


def test_every_row_and_every_fault_gets_a_verdict(monkeypatch, capsys):
    whole = referee.audit
    monkeypatch.setattr(referee, "audit", lambda estimator: whole(estimator, tasks=[TextDelay(delay=1)]))
    referee.main()
    printed = capsys.readouterr().out
    for name in OBJECTIVES:
        assert f"{name}: biased" in printed or f"{name}: unbiased" in printed
    for name in KNOWN_FAULTS:
        assert f"{name}\n  as shipped: " in printed
    assert printed.count("mended:     unbiased") == len(KNOWN_FAULTS)
