"""A credit microscope in the terminal: the transcript in the colours of an estimator, a line each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from textmdp.agents.microscope.records import Credit, EpisodeCredit, Token
from textmdp.envs.views.rendering import visible

#: Of an advantage of 0, and of the largest and the smallest: Okabe and Ito's blue and vermilion.
_PAPER, _UP, _DOWN = (255, 255, 255), (86, 160, 211), (232, 126, 48)
#: The most tokens of a table: those that matter most.
MOST_ROWS = 16
#: Estimators that are shown unless others are named; the reference comes first.
DEFAULT = ("vine", "reinforce-group", "gae λ=0.95")


def show_credit(credit: Credit, estimators: Sequence[str] | None = None, console: Console | None = None) -> None:
    """Print every episode: its transcript in the colours of each estimator, and a table of its tokens.

    Args:
        credit: of `examine`.
        estimators: their names; None for the reference and `DEFAULT`.
        console: to print to; None for one on stdout.

    Raises:
        ValueError: there is no such estimator.
    """
    console = console or Console(highlight=False)
    names = chosen(credit, estimators)
    for episode in credit.episodes:
        console.print(Text(episode.title, style="bold"), soft_wrap=True)
        console.print(Text(visible(episode.verdict)), soft_wrap=True)
        for name in names:
            console.print(coloured(episode, name, _scale(credit, name)), soft_wrap=True)
        console.print(_table(episode, names))
        console.print()
    for name, reason in credit.left_out.items():
        console.print(Text(f"left out: {name}, {reason}", style="dim"), soft_wrap=True)


def chosen(credit: Credit, estimators: Sequence[str] | None) -> list[str]:
    """The estimators to print; see `show_credit`."""
    known = [estimator.name for estimator in credit.estimators]
    names = list(estimators or [credit.reference, *DEFAULT])
    for name in names:
        if name not in known:
            reason = credit.left_out.get(name, f"there are {', '.join(known)}")
            raise ValueError(f"there is no estimator {name!r} here: {reason}")
    return names


def coloured(episode: EpisodeCredit, name: str, scale: float) -> Text:
    """The transcript of an episode in the colours of an estimator, on one line.

    Args:
        episode: the episode.
        name: of the estimator.
        scale: the advantage of the fullest colour.
    """
    text = Text(f"{name:>16}  ", style="default")
    for piece in episode.pieces:
        if isinstance(piece, str):
            text.append(visible(piece).replace("\n", "⏎"), style="dim")
            continue
        token = episode.tokens[piece]
        text.append(_word(token), style=_style(token.advantages[name], scale))
    return text


def _word(token: Token) -> str:
    return visible(token.text).replace("\n", "⏎").replace("\t", "⇥") or "∎"


def _style(advantage: float, scale: float) -> str:
    share = min(1.0, abs(advantage) / scale)
    target = _UP if advantage > 0 else _DOWN
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(_PAPER, target, strict=True))
    underline = " underline" if advantage < -1e-9 else ""
    return f"bold #000000 on #{red:02x}{green:02x}{blue:02x}{underline}"


def _scale(credit: Credit, name: str) -> float:
    """The largest advantage of an estimator over all episodes."""
    return max([1e-9, *(abs(token.advantages[name]) for episode in credit.episodes for token in episode.tokens)])


def _table(episode: EpisodeCredit, names: Sequence[str]) -> Table:
    count = len(episode.tokens)
    title = f"the {MOST_ROWS} of {count} tokens that mattered most" if count > MOST_ROWS else None
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("token")
    for title in ("reward", "value", *names):
        table.add_column(title, justify="right")
    most = max((abs(token.advantages[names[0]]) for token in episode.tokens), default=0.0)
    by_size = sorted(range(count), key=lambda t: -abs(episode.tokens[t].advantages[names[0]]))
    for token in (episode.tokens[t] for t in sorted(by_size[:MOST_ROWS])):
        value = token.values.get("exact", token.values["branches"])
        star = " ★" if most > 1e-9 and abs(token.advantages[names[0]]) == most else ""
        numbers = [f"{token.advantages[name]:+.3f}" for name in names]
        reward = f"{token.reward:+g}" if token.reward else ""
        table.add_row(Text(_word(token) + star), reward, f"{value:.3f}", *numbers)
    return table
