"""Output of the commands: the console, transcripts in colour, tables of evaluations."""

from __future__ import annotations

from collections.abc import Mapping
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


def ledger_line(score: Score, finish_reason: str = "") -> Text:
    """Return the ledger of a turn, indented."""
    text = Text(f"  {ledger(score)}", style="dim")
    return text.append(f"   {finish_reason}") if finish_reason else text


def show_transcript(record: Mapping[str, Any], title: str) -> None:
    """Print an episode, as `evaluate.transcript` records it, with the ledger of each turn."""
    ended = "terminated" if record["terminated"] else f"truncated ({record['finish_reason'] or 'steps'})"
    show((title, "bold"), (f"   problem {record['problem']}   return {record['return']:g}   {ended}", "dim"))
    scores = iter(record["scores"])
    for message in record["messages"]:
        show((visible(message["text"]), STYLES[message["role"]]), end="")
        if message["role"] == "policy":
            score = next(scores, None)
            earned = "cut off: not graded" if score is None else ledger(Score(score["parts"], score["weights"]))
            show("", (f"\n  {earned}", "dim"))
    show("" if record["messages"][-1]["role"] == "policy" else "\n")


def episode_text(record: Mapping[str, Any]) -> Text:
    """Return the messages of an episode, coloured by role, and its return."""
    text = Text()
    for message in record["messages"]:
        text.append(visible(message["text"]), style=STYLES[message["role"]])
    return text.append(f"   {record['return']:+g}", style="green" if record["return"] > 0 else "red")


def evaluation_table(columns: Mapping[str, Evaluation], title: str | None = None) -> Table:
    """Return a table with a column for each evaluation."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    sampled = next((f"\npass and maj: {e.samples} samples a problem" for e in columns.values() if e.at_k), "")
    table.caption = f"[…]: 95 % intervals, Wilson's for the accuracy{sampled}"
    table.caption_justify, table.caption_style = "left", "dim"
    for label, *cells in evaluation_rows([*columns.values()]):
        table.add_row(label, *cells)
    return table


def difficulty_table(rows: Mapping[str, Evaluation]) -> Table:
    """Return a table with a row for each difficulty."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    names = dict.fromkeys(name for evaluation in rows.values() for name in evaluation.at_k)
    table.add_column("difficulty")
    for title in ("problems", "accuracy", *names):
        table.add_column(title, justify="right")
    table.caption = "[…]: Wilson's 95 % intervals; --json has those of pass@k and maj@k"
    table.caption_justify, table.caption_style = "left", "dim"
    for difficulty, evaluation in rows.items():
        sampled = (share(evaluation.at_k[name][0]) for name in names)
        accuracy = share(evaluation.accuracy, evaluation.accuracy_interval)
        table.add_row(difficulty, f"{evaluation.problems}", accuracy, *sampled)
    return table
