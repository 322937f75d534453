"""`textmdp audit`: judge an advantage estimator by its exact expectations."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from textmdp.agents.algorithms.advantages import DISCOUNT_UNITS
from textmdp.agents.cli.options import UserError
from textmdp.agents.cli.terminal import show
from textmdp.agents.credit.audit import audit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `textmdp audit`."""
    parser.add_argument(
        "estimator",
        metavar="ESTIMATOR",
        help="MODULE:FUNCTION, or a row of `textmdp algorithms`; a function takes (rewards, mask, turns, groups, "
        "gamma), TRL's (rewards, group_size), or verl's (token_level_rewards, response_mask, index, ...)",
    )
    parser.add_argument(
        "--discount-unit", choices=DISCOUNT_UNITS, default="tokens", help="the clock of a row of the table"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the verdict; returns 1 if the estimator is biased."""
    found = audit(_estimator(arguments.estimator), discount_unit=arguments.discount_unit)
    if arguments.json:
        show(json.dumps({**dataclasses.asdict(found), "biased": found.biased, "verdict": found.verdict}))
    else:
        show(str(found))
    return int(found.biased)


def _estimator(name: str) -> str | Callable[..., Any]:
    """The row or the function of that name; a module may lie in this folder."""
    module, colon, function = name.partition(":")
    if not colon:
        return name
    sys.path.append(os.getcwd())
    found = getattr(importlib.import_module(module), function, None)
    if not callable(found):
        raise UserError(f"{module} has no function {function!r}")
    return found
