"""Tiers of confinement: which this machine offers, found by doing, and what to do where it offers none.

| tier | layers | where |
|---|---|---|
| A | namespaces, Landlock, seccomp | Linux from 5.13, as root or where users may have namespaces |
| A- | namespaces, seccomp | older kernels; gVisor |
| B | Landlock, seccomp | containers with the default profile of Docker or Kubernetes |
| C | seccomp alone, and no file can be opened | containers on older kernels, or without Landlock |

All hold what is known of attacks; they differ in how many independent layers an unknown one would have to get through.
In A and A- a program has a scratch directory of 8 MiB, emptied after each grading; in B and C there is nowhere to
write. In B `stat` tells whether a file of the machine exists. In C a program can import only what `inside.preload` has
imported before.
"""

from __future__ import annotations

import functools
import json
import os
import socket
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from textmdp.envs.judge.inside.sandbox import Layers

#: Best first.
TIERS = ("A", "A-", "B", "C")
#: What one says to have none of them, and the name of the tier one has then.
UNSAFE, NO_TIER = "process-only-unsafe", "none"

#: Which of namespaces, Landlock and seccomp a tier has.
LAYERS = {
    "A": (True, True, True),
    "A-": (True, False, True),
    "B": (False, True, True),
    "C": (False, False, True),
    NO_TIER: (False, False, False),
}
_BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from inside import selftest; selftest.main()"
_SECONDS = 20.0  # for one tier, on a machine that is very busy; it takes some 50 ms
_REFUSED = (
    f"Run it in a container or virtual machine that has what is missing, or, for programs that you trust, pass "
    f'isolation="{UNSAFE}", which confines nothing. `textmdp judge doctor` says more.'
)


class JudgeUnavailable(RuntimeError):  # noqa: N818
    """No tier that was asked for can be had; says which layer is missing, and the remedy."""


class Finding(NamedTuple):
    """What came of trying a tier: whether it holds, and if not the layer at fault, what it said, and the remedy."""

    tier: str
    reached: bool
    layer: str = ""
    problem: str = ""
    remedy: str = ""


def check_names(isolation: str, min_tier: str) -> None:
    """Raise ValueError for an isolation or a tier that there is not."""
    if isolation not in ("best", UNSAFE, *TIERS):
        raise ValueError(f'isolation must be "best", one of {TIERS} or "{UNSAFE}", got {isolation!r}')
    if min_tier not in TIERS:
        raise ValueError(f"min_tier must be one of {TIERS}, got {min_tier!r}")


def layers(tier: str) -> Layers:
    """The layers of a tier, or of "none"."""
    from textmdp.envs.judge.inside.sandbox import Layers  # which not every system can import

    return Layers(*LAYERS[tier])


def choose(isolation: str, min_tier: str) -> str:
    """The tier to use: the best that this machine offers and `min_tier` allows, or the one that `isolation` names.

    Raises:
        JudgeUnavailable: where it offers none of those. It never settles for less.
    """
    check_names(isolation, min_tier)
    if isolation == UNSAFE:
        return NO_TIER
    wanted = TIERS[: TIERS.index(min_tier) + 1] if isolation == "best" else (isolation,)
    findings = []
    for tier in wanted:
        finding = examine(tier)
        if finding.reached:
            return tier
        findings.append(finding)
    raise JudgeUnavailable(_explain(findings, wanted))


@functools.cache
def examine(tier: str) -> Finding:
    """Whether a tier holds here, tried out in an interpreter of its own; once in each process."""
    if sys.platform != "linux":
        layer = "seccomp"
        return Finding(tier, False, layer, f"{layer}: {sys.platform} has none, only Linux", "run it under Linux")
    with tempfile.TemporaryDirectory(prefix="textmdp-judge-") as folder, socket.socket() as service:
        canary = os.path.join(folder, "canary")
        with open(canary, "w") as file:
            file.write("a confined program must not read this")
        os.chmod(folder, 0o755)  # so that nothing but the sandbox is in the way
        service.bind(("127.0.0.1", 0))
        service.listen()
        digits = "".join("01"[layer] for layer in LAYERS[tier])
        command = [sys.executable, "-I", "-S", "-B", "-c", _BOOT, os.path.dirname(__file__)]
        try:
            done = subprocess.run(
                [*command, digits, canary, str(service.getsockname()[1])],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env={},
                timeout=_SECONDS,
                start_new_session=True,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return Finding(tier, False, "self-test", f"self-test: {error}", "")
        return _finding(tier, done)


def _finding(tier: str, done: subprocess.CompletedProcess[bytes]) -> Finding:
    try:
        told: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return Finding(tier, False, "self-test", f"self-test: the interpreter ended with {done.returncode}: {last}")
    if "problem" in told:
        return Finding(tier, False, told["layer"], told["problem"], told["remedy"])
    if breaches := told["breaches"]:
        return Finding(tier, False, "self-test", f"self-test: a confined program could {', '.join(breaches)}")
    return Finding(tier, True)


def _explain(findings: list[Finding], wanted: tuple[str, ...]) -> str:
    named = f"tier {wanted[0]}" if len(wanted) == 1 else f"any of the tiers {', '.join(wanted)}"
    problems = {
        finding.problem: finding.tier for finding in reversed(findings)
    }  # each once, with the best tier it cost
    told = [f"  {tier}: {problem}" for problem, tier in reversed(problems.items())]
    return "\n".join([f"this machine can't confine programs in {named}:", *told, _REFUSED])
