"""Figures of notebooks that can be read on white and on black."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from IPython.display import Image, display
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure

#: Told apart by the colour-blind too (Okabe & Ito), on white and on black.
BLUE, ORANGE, PINK, GREEN, VIOLET = "#56b4e9", "#e69f00", "#dd85b5", "#3fae7c", "#a678d8"
#: Of text and axes.
GREY = "#7b7b7b"


def use_style() -> None:
    """Set Matplotlib's text and axes to `GREY`, without frames."""
    rcParams.update(
        dict.fromkeys(["text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"], GREY)
    )
    rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False})


def panels(count: int = 1, height: float = 2.9, **options: Any) -> tuple[Figure, list[Axes]]:
    """A figure, 8 inches wide, and its plots side by side.

    Args:
        count: the number of plots.
        height: in inches.
        options: of Matplotlib's `subplots`, such as `sharey`.
    """
    return grid(1, count, height, **options)


def grid(rows: int, columns: int, height: float, **options: Any) -> tuple[Figure, list[Axes]]:
    """A figure, 8 inches wide, and its plots, row by row; `height` and `options` as in `panels`."""
    figure = Figure(figsize=(8, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options).ravel().tolist()


def show(figure: Figure, alt: str) -> None:
    """Display a figure without a background; `alt` describes it to those who can't see it."""
    png = BytesIO()
    figure.savefig(png, dpi=110, transparent=True, bbox_inches="tight", metadata={"Software": None})
    display(Image(png.getvalue(), alt=alt))
