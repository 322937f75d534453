"""What the subcommands print with: one console, transcripts in colour, evaluations side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from textmdp.agents.evaluation.evaluate import Evaluation, evaluation_rows, share
from textmdp.envs.core.task import Score
from textmdp.envs.views.rendering import ledger, visible

#: Who speaks, as a style: the colours of `render_mode="ansi"`.
STYLES = {"environment": "cyan", "policy": "bold yellow"}

console = Console(highlight=False)


def show(*parts: str | Text | tuple[str, str], end: str = "\n") -> None:
    """Print text as it is: no markup is read in it, and no line is broken."""
    console.print(Text.assemble(*parts), soft_wrap=True, end=end)


def ledger_line(score: Score, finish_reason: str = "") -> Text:
    """What a turn earned, indented below it."""
    text = Text(f"  {ledger(score)}", style="dim")
    return text.append(f"   {finish_reason}") if finish_reason else text


def show_transcript(record: Mapping[str, Any], title: str) -> None:
    """One episode as `evaluation.transcript` records it, with the ledger of each turn."""
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


def said(record: Mapping[str, Any]) -> Text:
    """What was said in an episode, by whom, and whether it was worth anything."""
    text = Text()
    for message in record["messages"]:
        text.append(visible(message["text"]), style=STYLES[message["role"]])
    return text.append(f"   {record['return']:+g}", style="green" if record["return"] > 0 else "red")


def evaluation_table(columns: Mapping[str, Evaluation], title: str | None = None) -> Table:
    """Evaluations side by side: one column each."""
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
    """Evaluations below each other, a difficulty a row."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    names = dict.fromkeys(name for evaluation in rows.values() for name in evaluation.at_k)
    table.add_column("difficulty")
    for title in ("problems", "accuracy", *names):
        table.add_column(title, justify="right")
    table.caption = "[…]: Wilson's 95 % intervals; --json has those of the others"
    table.caption_justify, table.caption_style = "left", "dim"
    for difficulty, evaluation in rows.items():
        sampled = (share(evaluation.at_k[name][0]) for name in names)
        accuracy = share(evaluation.accuracy, evaluation.accuracy_interval)
        table.add_row(difficulty, f"{evaluation.problems}", accuracy, *sampled)
    return table
