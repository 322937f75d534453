"""`textmdp demo --thinking`: a small model finds out that working a sum pays, line by line as it is trained."""

from __future__ import annotations

from time import perf_counter

from rich.table import Table
from rich.text import Text

from textmdp.agents.algorithms.config import Config
from textmdp.agents.cli.terminal import STYLES, console, show, waiting

#: Updates of the demo unless another number is asked for; updates between two lines; width of a bar in characters.
UPDATES, EVERY, BAR = 60, 5, 20
#: Held-out problems of a line, and those that are shown as transcripts.
PROBLEMS, SHOWN = 512, 4
#: Slower than the default, so that the change can be watched.
LEARNING_RATE = 1e-4


def run(seed: int, updates: int | None, imitation_steps: int | None) -> int:
    """Train with the reward for the final answer alone; print shares of thinking, lengths, accuracies, transcripts."""
    show("A language model of 0.4 million parameters is asked for sums modulo 10, such as (6+9+1+1+7)%10=")
    show("It imitates an expert who answers at once in nine cases of ten, and works the sum in the others.")
    show("Then it is rewarded for right answers alone. Each line is a sample of answers to held-out problems.\n")
    with waiting("loading torch and transformers"):
        from textmdp.agents.training.thinking import WarmStart, sample
        from textmdp.agents.training.trainer import Trainer

    began = perf_counter()
    start = WarmStart() if imitation_steps is None else WarmStart(worked_steps=imitation_steps)
    with waiting("imitation, about a minute"):
        model = start.train(seed)
    config = Config(seed=seed, updates=updates or UPDATES, learning_rate=LEARNING_RATE)
    trainer, held_out = Trainer(model, start.envs(config.episodes), config), start.envs(PROBLEMS, "test")
    columns: dict[str, tuple[str, ...]] = {}
    show(("update   share that thinks          tokens   right   seconds", "bold"))
    moments = (0, config.updates // 2, config.updates)
    for update in sorted({*range(0, config.updates, EVERY), *moments}):
        while trainer.num_updates < update:
            trainer.step()
        found = sample(model, held_out, transcripts=SHOWN)
        share = Text("█" * round(BAR * found.thinks), style="green").append("·" * (BAR - round(BAR * found.thinks)))
        show(
            f"{update:6}   ",
            share,
            f" {found.thinks:4.0%}  {found.tokens:7.1f}  {found.accuracy:6.0%}  {perf_counter() - began:8.0f}",
        )
        if update in moments:
            columns[f"update {update}"] = found.transcripts
    _show_transcripts(columns)
    return 0


def _show_transcripts(columns: dict[str, tuple[str, ...]]) -> None:
    """Print the responses to the same problems, a column for each moment."""
    table = Table(title="\nthe same problems over time", title_justify="left", title_style="bold", box=None)
    table.add_column("")
    for name in columns:
        table.add_column(name)
    for episodes in zip(*columns.values(), strict=True):
        question = episodes[0].partition("=")[0] + "="
        responses = [Text(episode.removeprefix(question), style=STYLES["policy"]) for episode in episodes]
        table.add_row(Text(question, style=STYLES["environment"]), *responses)
    console.print(table)
