"""Output of the commands: the console, transcripts in colour, tables of evaluations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from textmdp.agents.evaluation.evaluate import Evaluation
from textmdp.agents.evaluation.rows import evaluation_rows, share
from textmdp.envs.core.task import Score
from textmdp.envs.views.rendering import ledger, visible

#: Styles of the two roles, the colours of `render_mode="ansi"`.
STYLES = {"environment": "cyan", "policy": "bold yellow"}

console = Console(highlight=False)


def show(*parts: str | Text | tuple[str, str], end: str = "\n") -> None:
    """Print text without reading markup in it or breaking lines."""
    console.print(Text.assemble(*parts), soft_wrap=True, end=end)


def show_words(text: str, style: str = "") -> None:
    """Print a text: on a terminal its words are kept whole, in a pipe its lines are as they are."""
    _print_words(Text(visible(text), style=style))


def waiting(what: str) -> AbstractContextManager[object]:
    """Show a spinner with a few words on a terminal, until the context is left."""
    return console.status(what) if console.is_terminal else nullcontext()


def ledger_line(score: Score, finish_reason: str = "") -> Text:
    """Return the ledger of a turn, indented."""
    text = Text(f"  {ledger(score)}", style="dim")
    return text.append(f"   {finish_reason}") if finish_reason else text


def show_transcript(record: Mapping[str, Any], title: str) -> None:
    """Print an episode, as `transcripts.transcript` records it, with the ledger of each turn."""
    ended = "terminated" if record["terminated"] else f"truncated ({record['finish_reason'] or 'steps'})"
    show((title, "bold"), (f"   problem {record['problem']}   return {record['return']:g}   {ended}", "dim"))
    scores, shaping = iter(record["scores"]), _shaping(record)
    line = Text()
    for message in record["messages"]:
        line.append(visible(message["text"]), style=STYLES[message["role"]])
        if message["role"] == "policy":
            score = next(scores, None)
            earned = "cut off: not graded" if score is None else ledger(Score(score["parts"], score["weights"]))
            added = next(shaping, 0.0)
            earned += f"   with shaping {added:+g}" if abs(added) > 1e-12 else ""
            _print_words(line)
            show((f"  {earned}", "dim"))
            line = Text()
    _print_words(line)


def _print_words(line: Text) -> None:
    """Print a message: on a terminal its words are kept whole, in a pipe its lines are as they are."""
    console.print(line, soft_wrap=not console.is_terminal)


def _shaping(record: Mapping[str, Any]) -> Iterator[float]:
    """Yield the shaping of each turn: its rewards beyond its score."""
    turns = zip(record.get("turns", ()), record.get("rewards", ()), strict=True)
    earned = {turn: sum(reward for _, reward in pairs) for turn, pairs in groupby(turns, lambda pair: pair[0])}
    totals = [score["total"] for score in record["scores"]]
    for turn in range(max(earned, default=-1) + 1):
        yield earned.get(turn, 0.0) - (totals[turn] if turn < len(totals) else 0.0)


def episode_text(record: Mapping[str, Any]) -> Text:
    """Return the messages of an episode, coloured by role, and its return."""
    text = Text()
    for message in record["messages"]:
        text.append(visible(message["text"]), style=STYLES[message["role"]])
    return text.append(f"   {record['return']:+g}", style="green" if record["return"] > 0 else "red")


def show_evaluations(columns: Mapping[str, Evaluation]) -> None:
    """Print a table with a column for each evaluation."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), show_header=any(columns), header_style="bold")
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for label, *cells in evaluation_rows([*columns.values()]):
        table.add_row(label, *cells)
    console.print(table)
    show(("[…]: 95 % intervals, Wilson's for the accuracy", "dim"))
    if samples := max(evaluation.samples for evaluation in columns.values()):
        show((f"pass@k, maj@k: {samples} samples a problem", "dim"))


def show_difficulties(rows: Mapping[str, Evaluation]) -> None:
    """Print a table with a row for each difficulty."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    names = dict.fromkeys(name for evaluation in rows.values() for name in evaluation.at_k)
    table.add_column("difficulty")
    for title in ("problems", "accuracy", *names):
        table.add_column(title, justify="right")
    for difficulty, evaluation in rows.items():
        estimates = (share(evaluation.at_k[name][0]) for name in names)
        accuracy = share(evaluation.accuracy, evaluation.accuracy_interval)
        table.add_row(difficulty, f"{evaluation.problems}", accuracy, *estimates)
    console.print(table)
    others = "; --json has those of pass@k and maj@k" if names else ""
    show((f"[…]: Wilson's 95 % intervals{others}", "dim"))
