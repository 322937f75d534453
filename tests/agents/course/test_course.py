"""The check of an exercise gives a verdict whatever the student's code does; figures are described."""

from __future__ import annotations

import pytest
from IPython.display import Image

from textmdp.agents.course import figures
from textmdp.agents.course.exercises import check


def raises(error):
    def claims():
        yield True, ""
        raise error

    return claims


@pytest.mark.parametrize(
    ("claims", "verdict"),
    [
        (lambda: [(True, "a"), (True, "b")], "right!"),
        (lambda: [(True, "a"), (False, "b")], "not yet: b"),
        (raises(NotImplementedError()), "not yet: replace"),
        (raises(ZeroDivisionError("oh")), "not yet: your code raised ZeroDivisionError: oh"),
    ],
)
def test_check(claims, verdict, capsys):
    check(claims)
    assert capsys.readouterr().out.startswith(verdict)


def test_a_figure_is_shown_with_its_description(monkeypatch):
    shown = []
    monkeypatch.setattr(figures, "display", shown.append)
    figure, axes = figures.panels(2, sharey=True)
    assert len(axes) == 2
    figures.show(figure, "nothing")
    assert isinstance(shown[0], Image)
    assert shown[0].alt == "nothing"
