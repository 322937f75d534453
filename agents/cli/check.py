"""`textmdp check`: check an environment against the rules that all environments keep."""

from __future__ import annotations

import argparse
import time

from textmdp.agents.cli.options import add_environment, settings, token_id
from textmdp.agents.cli.terminal import show
from textmdp.envs.env_checker import CHECKS, run_checks
from textmdp.envs.views.rendering import visible


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `textmdp check`."""
    add_environment(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the checks of `textmdp.envs.env_checker` in their order; returns 1 at the first that fails."""
    env_id, options = token_id(arguments.id), settings(arguments.set)
    show((env_id, "bold"), "   ", (" ".join(f"{key}={value}" for key, value in options.items()), "dim"))
    began, passed = time.perf_counter(), 0
    checks = run_checks(env_id, **options)
    while True:
        try:
            name = next(checks)
        except StopIteration:
            break
        except AssertionError as error:
            show(("✗ ", "bold red"), visible(str(error)))
            return 1
        passed += 1
        show(("✓ ", "bold green"), name)
    show((f"{passed} of {len(CHECKS)} checks passed in {time.perf_counter() - began:.1f} s", "dim"))
    return 0
