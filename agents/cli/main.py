"""The command line, `textmdp`: finds the command and reports errors."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from textmdp.agents.cli.options import UserError, one_line

#: The extra of textmdp that installs a module.
EXTRAS = {
    "rich": "agents",
    "torch": "agents",
    "transformers": "agents",
    "tensorboard": "agents",
    "safetensors": "agents",
    "peft": "lora",
    "math_verify": "math",
    "datasets": "datasets",
    "stable_baselines3": "sb3",
    "sb3_contrib": "sb3",
    "yaml": "sb3",
    "tqdm": "sb3",
    "optuna": "tuning",
}


#: Each command is the module of that name, with `add_arguments` and `run`; the text is its help.
COMMANDS = {
    "envs": "list the environments, or print the documentation of one",
    "play": "play an environment yourself: type responses, or pick tokens",
    "rollout": "print episodes of an agent, with the reward of each turn",
    "score": "score saved episodes again, under the same or another reward",
    "train": "train a language model: imitation, then policy gradient",
    "algorithms": "list the algorithms that `train --algorithm` takes",
    "audit": "judge an advantage estimator by its exact bias and variance",
    "evaluate": "measure accuracy, return and lengths of an agent",
    "credit": "show which tokens earned the reward, by every estimator, as a page and in colours",
    "sb3": "train and evaluate agents of Stable-Baselines3",
    "compare": "compare runs: their learning curves on one page",
    "check": "check that an environment keeps the rules of all environments",
    "judge": "show how this machine can confine the programs of TextCode",
    "demo": "train a small model on arithmetic, in about two minutes",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code: 0, 1 for a failed check, 2 for an error, 130 for Ctrl-C."""
    debug = os.environ.get("TEXTMDP_DEBUG", "") not in ("", "0")
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        parser = _parser(words)
        if not words:
            parser.print_help()
            return 0
        arguments = parser.parse_args(words)
        arguments.command_line = shlex.join(["textmdp", *words])
        run: Callable[[argparse.Namespace], int] = arguments.run
        return run(arguments)
    except KeyboardInterrupt:
        if debug:
            raise
        return 130
    except BrokenPipeError:
        # The reader of the pipe, such as `head`, has closed it. Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if debug:
            raise
        return _complain(error)


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser; only the command in `words` is imported, so that the others cost no time."""
    parser = _Parser(
        prog="textmdp",
        description="Reinforcement learning on text, seen as a Markov decision process.",
        epilog="`textmdp COMMAND --help` shows the arguments of a command. "
        "TEXTMDP_DEBUG=1 shows the traceback of an error.",
    )
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    asked = next((word for word in words if not word.startswith("-")), None)
    if asked is not None and asked not in COMMANDS:
        close = difflib.get_close_matches(asked, COMMANDS, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(COMMANDS)};"
        raise UserError(f"there is no command {asked!r}: {hint} `textmdp --help` describes them")
    for name, help in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
        if name == asked:
            module = importlib.import_module(f"textmdp.agents.cli.{name}")
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    return parser


class _Parser(argparse.ArgumentParser):
    """An argument parser that raises errors in one line, and refuses abbreviated flags."""

    def __init__(self, **options: object) -> None:
        super().__init__(**{"allow_abbrev": False, **options})  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see `{self.prog} --help`")


def _complain(error: Exception) -> int:
    """Print an error in one line on stderr; returns the exit code."""
    if isinstance(error, ImportError) and (extra := _extra(error)):
        text = (
            f'this needs {(error.name or "").partition(".")[0]}, which is not installed: pip install "textmdp[{extra}]"'
        )
    else:
        text = one_line(error)
        if not isinstance(error, (ValueError, TypeError, OSError, ImportError, LookupError)) and not _of_gymnasium(
            error
        ):
            text = f"{type(error).__name__}: {text} (TEXTMDP_DEBUG=1 shows where)"
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    sys.stderr.write(f"\x1b[1;31merror:\x1b[0m {text}\n" if colour else f"error: {text}\n")
    return 2


def _extra(error: ImportError) -> str | None:
    return EXTRAS.get((error.name or "").partition(".")[0])


def _of_gymnasium(error: Exception) -> bool:
    return type(error).__module__.startswith("gymnasium.")
