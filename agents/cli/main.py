"""The command line, `textmdp`: look at environments, play them, and train, evaluate and watch agents in them."""

from __future__ import annotations

import argparse
import importlib
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from textmdp.agents.cli.options import UserError, one_line

#: Which extra of textmdp brings a module.
EXTRAS = {
    "rich": "agents",
    "torch": "agents",
    "transformers": "agents",
    "tensorboard": "agents",
    "safetensors": "agents",
    "peft": "lora",
    "math_verify": "math",
    "datasets": "datasets",
}


class Command(NamedTuple):
    """A subcommand: where its functions are, and what it does. The module is imported when it is asked for."""

    module: str
    help: str
    add_arguments: str = "add_arguments"
    run: str = "run"


COMMANDS = {
    "envs": Command("catalogue", "list the environments, or print the page of one"),
    "play": Command("play", "be the policy yourself: type responses, or pick tokens"),
    "rollout": Command("rolling", "episodes of an agent, with what each turn earned"),
    "train": Command("training", "teach a language model: imitation, then policy gradient"),
    "algorithms": Command("algorithms", "the table of objectives that `train --algorithm` takes"),
    "evaluate": Command(
        "measuring", "accuracy, return and lengths of an agent", "add_evaluate_arguments", "run_evaluate"
    ),
    "check": Command("measuring", "check that an environment keeps its word", "add_check_arguments", "run_check"),
    "judge": Command("judge", "what this machine offers to confine programs with"),
    "demo": Command("demo", "a small model learns arithmetic on this machine, in about two minutes"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for a failed check, 2 for an error of use, 130 for Ctrl-C."""
    debug = os.environ.get("TEXTMDP_DEBUG", "") not in ("", "0")
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        arguments = _parser(words).parse_args(words)
        arguments.command_line = shlex.join(["textmdp", *words])
        run: Callable[[argparse.Namespace], int] = arguments.run
        return run(arguments)
    except KeyboardInterrupt:
        if debug:
            raise
        return 130
    except BrokenPipeError:
        # What reads the output has seen enough. Python would complain when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if debug:
            raise
        return _complain(error)


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser; of the subcommands only the one that is asked for gets its arguments, which may cost an import."""
    parser = _Parser(
        prog="textmdp",
        description="Reinforcement learning on text, seen as a Markov decision process.",
        epilog="`textmdp COMMAND --help` says more. TEXTMDP_DEBUG=1 shows the traceback of an error.",
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    asked = next((word for word in words if not word.startswith("-")), None)
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=command.help, description=_sentence(command.help))
        if name == asked:
            module = importlib.import_module(f"textmdp.agents.cli.{command.module}")
            getattr(module, command.add_arguments)(subparser)
            subparser.set_defaults(run=getattr(module, command.run))
    return parser


class _Parser(argparse.ArgumentParser):
    """Errors in one line, no abbreviated flags."""

    def __init__(self, **options: object) -> None:
        super().__init__(**{"allow_abbrev": False, **options})  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see `{self.prog} --help`")


def _complain(error: Exception) -> int:
    """One line on stderr, and the exit code."""
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


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
