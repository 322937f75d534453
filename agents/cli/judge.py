"""`textmdp judge doctor`: show which tiers of confinement this machine can reach."""

from __future__ import annotations

import argparse
import os
import platform

from rich.text import Text

from textmdp.agents.cli.terminal import show
from textmdp.envs.judge import tiers

_NAMES = ("namespaces", "Landlock", "seccomp")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `textmdp judge`."""
    parser.add_argument(
        "action", choices=["doctor"], help="doctor: try each tier of confinement, and report what is missing"
    )


def run(arguments: argparse.Namespace) -> int:
    """Try every tier; returns 0 if one is reached, 1 otherwise."""
    user = "root" if os.name == "posix" and os.geteuid() == 0 else "an ordinary user"
    show(f"{platform.system()} {platform.release()}, {platform.machine()}, Python {platform.python_version()}, {user}")
    findings = [tiers.examine(tier) for tier in tiers.TIERS]
    for finding in findings:
        words = ", ".join(_layer_names(finding.tier))
        mark = ("holds  ", "green") if finding.reached else ("missing", "red")
        show("  ", (f"{finding.tier:<3}", "bold"), mark, f"  {words}")
        if not finding.reached:
            show(Text(f"       {finding.problem}", "dim"))
    reached = next((finding.tier for finding in findings if finding.reached), None)
    if reached is None:
        show("\nNo tier is reached: the judge refuses to run programs here.")
        show(f'isolation="{tiers.UNSAFE}" runs them without confinement: only for programs that you trust.')
        return 1
    show(f"\nThe judge runs programs in tier {reached}.")
    return 0


def _layer_names(tier: str) -> list[str]:
    names = [name for name, used in zip(_NAMES, tiers.LAYERS[tier], strict=True) if used]
    return names if len(names) > 1 else [*names, "no files"]
