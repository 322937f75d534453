"""Attack programs against a judge: the harness that sets the scene, grades them and checks that nothing gave way.

    python tests/attacks.py --isolation B --user 65534 --only net_listen fs_deep_dirs

The programs are those of ../shared/attacks.jsonl, where it exists, and of own_attacks/. Each configuration runs in a
process of its own (the *host*, see attack_host.py), which holds a judge and everything worth stealing or breaking, as
the user asked for; this process only watches it, so that a judge that is killed or stopped is a result and no accident.
The host imports the judge without the packages above it, hence without numpy: any Python that the user may run will do.

An attack is held when all of this is true: no full marks, and no test passed that an honest wrong answer fails; the
judge raised nothing and came back within wall + 3 s; its memory grew by less than 300 MB and it used less than 2 s of
processor time; what it holds open, its limits and its signals are as before; the marks are untouched, no stray
file, no datagram, no process left; and an honest program right after scores 1.

Several attacks run at a time. What can't be told apart then (time, memory, processes) is only a suspicion, and whoever
is under suspicion runs again alone.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from attack_host import adopt, descendants

HERE = Path(__file__).resolve().parent
CORPUS = HERE.parents[2] / "shared" / "attacks.jsonl"
_SPEC = importlib.util.find_spec("textmdp") and importlib.util.find_spec("textmdp.envs")
ENVS = Path(_SPEC.origin).parent if _SPEC and _SPEC.origin else HERE.parent / "envs"

BOOT = """
import sys, types
folder, envs, tests = sys.argv[1:4]
for name, folders in (("textmdp", []), ("textmdp.envs", [envs])):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = folders
sys.path.insert(0, tests)
import attack_host
attack_host.host(folder)
"""


class Outcome(NamedTuple):
    """What became of one attack."""

    name: str
    category: str
    held: bool
    why: str
    seconds: float


class Report(NamedTuple):
    """What became of all attacks under one configuration; `unavailable` says why there are none."""

    tier: str
    outcomes: list[Outcome]
    unavailable: str = ""


def corpus() -> list[dict[str, Any]]:
    """The shared attacks, none where they are not at hand."""
    if not CORPUS.is_file():
        return []
    return [json.loads(line) for line in CORPUS.read_text("utf-8").splitlines()]


def interpreter_for(user: int | None) -> str | None:
    """A Python that this user may execute: our own, else one of the system; None where there is none."""
    if user is None:
        return sys.executable
    for path in [sys.executable, *sorted(map(str, Path("/usr/bin").glob("python3*"))), "/usr/local/bin/python3"]:
        with contextlib.suppress(OSError):
            check = "import sys, ctypes, decimal, sqlite3; sys.exit(sys.version_info < (3, 10))"
            if not subprocess.run([path, "-I", "-c", check], user=user, group=user, capture_output=True).returncode:
                return path
    return None


def run(
    attacks: list[dict[str, Any]],
    isolation: str = "best",
    user: int | None = None,
    workers: int = 8,
    wait: float = 1500.0,
    modules: Sequence[str] = (),
) -> Report:
    """Grade all attacks in a host process of its own.

    Args:
        attacks: rows of the corpus.
        isolation: what the judge is asked for.
        user: the uid (and gid) of the host, None for our own; another one takes root.
        workers: how many attacks run at a time.
        wait: seconds after which the host counts as hanging.
        modules: installed modules that the judge is given, and that every program names.
    """
    python = interpreter_for(user)
    if python is None:
        return Report("", [], f"no Python 3.10 or later that user {user} may execute")
    with tempfile.TemporaryDirectory(prefix="judge-attacks-") as name:
        folder = Path(name)
        code = folder / "code"
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ENVS / "judge", code / "envs" / "judge", ignore=skip)
        code.joinpath("tests").mkdir()
        shutil.copy(HERE / "attack_host.py", code / "tests")
        home, data, report = folder / "home", folder / "data", folder / "report"
        for path in (home, data):
            path.mkdir(mode=0o755)
        secret = "SECRET_" + secrets.token_hex(8)
        job = {"attacks": attacks, "isolation": isolation, "workers": workers, "secret": secret}
        job["modules"] = list(modules)
        folder.joinpath("job.json").write_text(json.dumps(job), "utf-8")
        report.touch()
        if user is not None:
            for path in (folder, home, data, report):
                os.chown(path, user, user)
        for path in (folder, code, code / "envs"):
            path.chmod(0o755)
        printed = folder / "printed"
        others = set(descendants(os.getpid()))
        adopt(True)
        with printed.open("wb") as output:
            process = subprocess.Popen(
                [python, "-I", "-B", "-c", BOOT, str(folder), str(code / "envs"), str(code / "tests")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=data,
                env={"JUDGE_SECRET": secret, "HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )
            try:
                status = _watch(process, wait)
            finally:
                _end(process, others)
        lines = [json.loads(line) for line in report.read_text("utf-8").splitlines()]
        said = printed.read_text("utf-8", "replace")[-2000:]
    return _report(attacks, lines, status, said)


def _watch(process: subprocess.Popen[bytes], wait: float) -> str:
    """Wait for the host; how it ended. One that stays stopped will not go on."""
    end, stopped = time.monotonic() + wait, 0
    while time.monotonic() < end and stopped < 5:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return f"exit status {process.wait(1)}"
        state = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        stopped = stopped + 1 if state in "Tt" else 0
    return "it was stopped" if stopped else f"not done after {wait} s"


def _end(process: subprocess.Popen[bytes], others: set[int]) -> None:
    """Kill the host and what is below it, orphans included, which come to us; not our other children."""
    process.kill()
    process.wait()
    while left := set(descendants(os.getpid())) - others:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in left:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
    adopt(False)


def _report(attacks: list[dict[str, Any]], lines: list[dict[str, Any]], status: str, said: str) -> Report:
    tier = next((line["tier"] for line in lines if "tier" in line), "")
    unavailable = next((line["unavailable"] for line in lines if "unavailable" in line), "")
    if unavailable:
        return Report(tier, [], unavailable)
    done = {line["name"]: line for line in lines if "why" in line}
    started = {line["started"] for line in lines if "started" in line}
    outcomes = []
    for attack in attacks:
        name, category = attack["name"], attack["category"]
        line = done.get(name)
        if line is None:
            when = "while this one ran" if name in started else "before this one"
            outcomes.append(Outcome(name, category, False, f"the judge did not survive {when}: {status}", 0.0))
        else:
            outcomes.append(Outcome(name, category, not line["why"], "; ".join(line["why"]), line["seconds"]))
    finished = next((line["finished"] for line in lines if "finished" in line), None)
    if finished is None:
        outcomes = [outcome for outcome in outcomes if "before this one" not in outcome.why]  # one reason is enough
        finished = [f"the host did not finish: {status}: {said}"]
    elif said:
        finished.append(f"printed on the judge's own stdout or stderr: {said}")
    outcomes.append(Outcome("afterwards", "all", not finished, "; ".join(finished), 0.0))
    return Report(tier, outcomes)


def table(report: Report) -> str:
    """Held and breached by category, then each breach."""
    rows: dict[str, list[int]] = {}
    for outcome in report.outcomes:
        counts = rows.setdefault(outcome.category, [0, 0])
        counts[not outcome.held] += 1
    lines = [f"tier {report.tier}", f"{'category':10} {'held':>5} {'breached':>9}"]
    lines += [f"{category:10} {held:5} {breached:9}" for category, (held, breached) in sorted(rows.items())]
    lines += [f"BREACH {outcome.name}: {outcome.why}" for outcome in report.outcomes if not outcome.held]
    return "\n".join(lines)


def main() -> int:
    """Command line."""
    import own_attacks

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--isolation", default="best")
    parser.add_argument("--user", type=int, help="uid of the judge's process; takes root")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--modules", nargs="*", default=[], help="installed modules that programs have")
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--slow", type=int, default=5, help="how many of the slowest to show")
    arguments = parser.parse_args()
    attacks = [*corpus(), *own_attacks.ATTACKS]
    if arguments.only:
        attacks = [attack for attack in attacks if attack["name"] in arguments.only]
    start = time.monotonic()
    report = run(attacks, arguments.isolation, arguments.user, arguments.workers, modules=arguments.modules)
    print(report.unavailable or table(report))
    for outcome in sorted(report.outcomes, key=lambda outcome: -outcome.seconds)[: arguments.slow]:
        print(f"{outcome.seconds:6.2f} s {outcome.name}")
    print(f"{len(attacks)} programs in {time.monotonic() - start:.0f} s")
    return int(bool(report.unavailable) or not all(outcome.held for outcome in report.outcomes))


if __name__ == "__main__":
    sys.exit(main())
