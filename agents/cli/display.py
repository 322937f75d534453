"""Live display of a training run: progress, metrics, and the split of the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from textmdp.agents.cli.terminal import console, episode_text, show
from textmdp.agents.evaluation.evaluate import Evaluation
from textmdp.agents.evaluation.rows import share
from textmdp.agents.runs.doctor import Finding
from textmdp.agents.runs.report import STAGES, TIMES

_BARS = "▁▂▃▄▅▆▇█"
_COLOURS = ("green", "magenta", "cyan", "blue", "yellow", "white")
_BAR_WIDTH = 40
#: Transcripts on the screen.
_EPISODES = 5


class Display:
    """A `textmdp.agents.runs.train.Callback` that draws on the terminal; in a pipe it prints a line an evaluation.

    Args:
        steps: number of imitation steps.
        updates: largest number of updates.
    """

    def __init__(self, steps: int, updates: int) -> None:
        self._steps, self._updates = steps, updates
        self._seconds: dict[str, float] = {}
        self._curve: list[float] = []
        self._line = Text()
        self._transcripts: Sequence[Mapping[str, Any]] = ()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:16}"),
            BarColumn(_BAR_WIDTH),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._progress.add_task("setting up", total=None)
        self._live = Live(self._draw(), console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> Display:
        if console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if console.is_terminal:
            self._live.stop()

    def stopping(self) -> None:
        """Show that the run will stop after the current update."""
        self._progress.update(self._task, description="stopping …")
        self._refresh()

    # Callback

    def on_stage(self, name: str) -> None:
        """Start the progress bar of a stage."""
        self._progress.update(self._task, description=name)
        if name == "imitation":
            self._progress.update(self._task, total=self._steps, completed=0)
        elif name == "policy gradient":
            self._progress.update(self._task, total=self._updates, completed=0)
        self._refresh()

    def on_imitation_step(self, step: int) -> None:
        """Move the progress bar."""
        self._progress.update(self._task, completed=step)

    def on_imitation(self, metrics: Mapping[str, float]) -> None:
        """Show a check of the imitation."""
        self._progress.update(self._task, completed=int(metrics["step"]))
        self._seconds["imitation"] = metrics["seconds"]
        self._line = Text(f"loss {metrics['loss']:.3f} nats a token   accuracy {share(metrics['accuracy'])}")
        self._refresh()
        self._plain(
            f"imitation  step {metrics['step']:.0f}  loss {metrics['loss']:.3f}  accuracy {share(metrics['accuracy'])}"
        )

    def on_update(self, metrics: Mapping[str, float]) -> None:
        """Show the metrics of an update."""
        self._progress.update(self._task, completed=int(metrics["update"]))
        for key, name in TIMES.items():
            if key in metrics:
                self._seconds[name] = self._seconds.get(name, 0.0) + metrics[key]
        line = (
            f"return {metrics['return']:.3f}   success {share(metrics['success'])}   "
            f"entropy {metrics['entropy']:.3f} nats   tokens {metrics['response_tokens']:.1f}"
        )
        self._line = Text(line)
        if "evaluation/accuracy" in metrics:
            self._curve.append(metrics["evaluation/accuracy"])
            interval = metrics["evaluation/low"], metrics["evaluation/high"]
            accuracy = share(metrics["evaluation/accuracy"], interval)
            self._plain(f"update {metrics['update']:.0f} of {self._updates}  greedy accuracy {accuracy}  {line}")
        self._refresh()

    def on_transcripts(self, transcripts: Sequence[Mapping[str, Any]]) -> None:
        """Show the episodes in the place of those before."""
        self._transcripts = transcripts
        self._refresh()

    def on_finding(self, update: int, finding: Finding) -> None:
        """Print a finding with its remedy; it stays on the screen."""
        style = "bold red" if finding.severity == "error" else "bold yellow"
        remedy = (f": {finding.remedy}", "dim")
        show((f"{finding.severity} ", style), (f"update {update}  ", "dim"), finding.message, remedy)

    def on_evaluation(self, stage: str, evaluation: Evaluation) -> None:
        """Print the accuracy of a stage; it stays on the screen."""
        if stage != "untrained":
            self._curve.append(evaluation.accuracy)
            self.on_transcripts(evaluation.transcripts)
        show(
            (f"{STAGES[stage]:20}", "bold"),
            f"{share(evaluation.accuracy, evaluation.accuracy_interval)} of {evaluation.episodes} problems solved",
        )

    # Drawing

    def _plain(self, line: str) -> None:
        if not console.is_terminal:
            show(line)

    def _refresh(self) -> None:
        self._live.update(self._draw())

    def _draw(self) -> Group:
        rows = Table.grid(padding=(0, 2))
        if self._line:
            rows.add_row(Text("now", style="dim"), self._line)
        if self._curve:
            curve = sparkline(self._curve[-60:])
            rows.add_row(Text("greedy", style="dim"), Text(f"{curve} {share(self._curve[-1])}", style="bold green"))
        if self._seconds:
            rows.add_row(Text("time", style="dim"), time_bar(self._seconds))
        # Greedy responses to the same problems, which change in place.
        for number, record in enumerate(self._transcripts[:_EPISODES]):
            shown = episode_text(record)
            shown.truncate(max(console.width - 12, 20), overflow="ellipsis")
            rows.add_row(Text("episodes" if number == 0 else "", style="dim"), shown)
        return Group(self._progress, rows)


def sparkline(shares: list[float]) -> str:
    """Return a curve of numbers in [0, 1], one character each."""
    return "".join(_BARS[min(int(value * len(_BARS)), len(_BARS) - 1)] for value in shares)


def time_bar(seconds: Mapping[str, float]) -> Text:
    """Return the seconds of each part of a run, and their shares, coloured."""
    total = sum(seconds.values()) or 1.0
    text = Text()
    for colour, (name, value) in zip(_COLOURS, seconds.items(), strict=False):
        text.append("■ ", style=colour).append(f"{name} {value:.0f} s ({100 * value / total:.0f} %)   ")
    return text
