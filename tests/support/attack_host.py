"""The process that holds a judge under attack: sets the scene, grades the programs, and looks for what gave way.

Started by attacks.py, which says what all this is about. Only the standard library and the judge are imported.
"""

from __future__ import annotations

import ast
import contextlib
import ctypes
import fcntl
import itertools
import json
import os
import resource
import secrets
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

WALL, CPU, OUTPUT, MEMORY = 3.0, 2.0, 1 << 20, 300 << 20
PATIENCE = 3.0
"""Seconds beyond the wall limit within which a verdict must be there, those aside in which something on the machine
waited for a processor."""
PARTIAL = {"trace_skip_asserts", "res_iter_bomb_subclass"}
"""Programs whose constant answer is right for one of their tests: that much is not forged."""


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, zombies left out."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                state, parent = Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[:2]
                if state != "Z":
                    parents.setdefault(int(parent), []).append(int(entry))
    found: list[int] = []
    queue = [pid]
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += children
    return found


def adopt(orphans: bool) -> None:
    """Whether orphaned processes below us become our children (PR_SET_CHILD_SUBREAPER)."""
    ctypes.CDLL(None).prctl(36, int(orphans), 0, 0, 0)


class Scene:
    """Everything in the host that an attack might want: services, files, descriptors; and what was done to it."""

    def __init__(self, folder: Path, secret: str) -> None:
        self.folder, self.secret = folder, secret
        self.home, self.data = folder / "home", folder / "data"
        self.secret_file = self.home / "secret.txt"
        self.secret_file.touch(0o600)
        self.secret_file.write_text(secret + "\n")
        self.data.joinpath("tests.jsonl").write_text(json.dumps({"expected": secret}) + "\n")
        self.abstract = f"judge-attacks-{secrets.token_hex(8)}"
        self.unix_path, self.dgram_path = (str(folder / name) for name in ("stream.sock", "dgram.sock"))
        if len(self.unix_path) > 100:
            raise RuntimeError(f"too long for a socket's path: {self.unix_path}")
        self.listeners = [
            self._listen(socket.AF_INET, ("127.0.0.1", 0)),
            self._listen(socket.AF_UNIX, f"\0{self.abstract}"),
            self._listen(socket.AF_UNIX, self.unix_path),
        ]
        self.port = self.listeners[0].getsockname()[1]
        self.boxes = [
            self._box(socket.AF_INET, ("127.0.0.1", self.port)),
            self._box(socket.AF_UNIX, f"\0{self.abstract}d"),
            self._box(socket.AF_UNIX, self.dgram_path),
        ]
        for path in (self.unix_path, self.dgram_path):
            os.chmod(path, 0o777)
        # What a trainer holds open, all of it inheritable by a careless judge.
        self.log = (folder / "home" / "trainer.log").open("w+b", buffering=0)
        self.log.write(secret.encode() + b"\n")
        self.tests = (self.data / "tests.jsonl").open("rb", buffering=0)
        self.pipe = os.pipe()
        os.set_blocking(self.pipe[0], False)
        self.held = [self.log.fileno(), self.tests.fileno(), *self.pipe, *(box.fileno() for box in self.boxes)]
        for descriptor in self.held:
            os.set_inheritable(descriptor, True)
        self.before = self.state()

    def _listen(self, family: int, address: Any) -> socket.socket:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.bind(address)
        listener.listen(64)

        def serve() -> None:
            while True:
                with contextlib.suppress(OSError):
                    connection, _ = listener.accept()
                    with connection:
                        connection.sendall(self.secret.encode() + b"\n")

        threading.Thread(target=serve, daemon=True).start()
        return listener

    def _box(self, family: int, address: Any) -> socket.socket:
        box = socket.socket(family, socket.SOCK_DGRAM)
        box.bind(address)
        box.setblocking(False)
        return box

    def state(self) -> dict[str, object]:
        """Whatever must be the same after an attack."""
        own = [
            (fcntl.fcntl(fd, fcntl.F_GETFL), fcntl.fcntl(fd, fcntl.F_GETOWN), os.readlink(f"/proc/self/fd/{fd}"))
            for fd in self.held
        ]
        log, tests = self.log.fileno(), self.tests.fileno()
        return {
            "descriptors": own,
            "files": [(os.pread(fd, 1 << 16, 0), os.lseek(fd, 0, os.SEEK_CUR)) for fd in (log, tests)],
            "secret file": (self.secret_file.read_text(), self.secret_file.stat().st_mode),
            "home": sorted(os.listdir(self.home)),
            "data": sorted(os.listdir(self.data)),
            "limits": [resource.getrlimit(which) for which in range(16)],
            "priority": (os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), sorted(os.sched_getaffinity(0))),
            "signals": [line for line in _proc("self/status") if line.startswith(("SigIgn", "SigBlk", "SigCgt"))],
            "traced": [line for line in _proc("self/status") if line.startswith("TracerPid")],
            "timers": [signal.getitimer(which) for which in (0, 1, 2)],
            "folder": (os.getcwd(), os.umask(os.umask(0o22))),
            "oom": Path("/proc/self/oom_score_adj").read_text(),
            "environment": dict(os.environ),
            "shared memory": _mine("shm"),
            "message queues": _mine("msg"),
            "semaphores": _mine("sem"),
        }

    def complaints(self) -> list[str]:
        """What is not as it was, and what arrived where nothing should."""
        after = self.state()
        found = [
            f"{what} changed from {self.before[what]!r} to {after[what]!r}"[:400]
            for what in after
            if after[what] != self.before[what]
        ]
        self.before = after
        for box in self.boxes:
            with contextlib.suppress(BlockingIOError):
                found.append(f"a datagram arrived: {box.recv(1 << 16)[:50]!r}")
        with contextlib.suppress(BlockingIOError):
            found.append(f"written into a pipe of the judge: {os.read(self.pipe[0], 1 << 16)[:50]!r}")
        return found


def _proc(name: str) -> list[str]:
    return Path(f"/proc/{name}").read_text().splitlines()


def _mine(kind: str) -> list[str]:
    """Identifiers of SysV objects: other users of the machine may make some, but not while they hold our uid."""
    try:
        header, *rows = [line.split() for line in _proc(f"sysvipc/{kind}")]
    except OSError:
        return []
    uids = {str(os.getuid())} | {str(uid) for uid in range(60_000, 70_000)}
    return [row[1] for row in rows if row[header.index("uid")] in uids]


class Place:
    """What belongs to one run of one attack: its marks, and the words to put in for the placeholders."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.name = f"stray{secrets.token_hex(6)}"
        self.mark = scene.folder / self.name
        self.mark.mkdir()
        self.mark.chmod(0o777)
        self.sacrifice = scene.folder / f"{self.name}.sacrifice"
        self.sacrifice.write_text("precious\n")
        self.sacrifice.chmod(0o666)
        self.words = {
            "@@SECRET_FILE@@": str(scene.secret_file),
            "@@SECRET@@": scene.secret,
            "@@DATA_DIR@@": str(scene.data),
            "@@PORT@@": str(scene.port),
            "@@ABS@@": scene.abstract,
            "@@UNIX_PATH@@": scene.unix_path,
            "@@DGRAM@@": scene.dgram_path,
            "@@MARK@@": str(self.mark),
            "@@MARKNAME@@": self.name,
            "@@SACRIFICE@@": str(self.sacrifice),
            "@@JUDGE_PID@@": str(os.getpid()),
        }

    def fill(self, text: str) -> str:
        for placeholder, word in self.words.items():
            text = text.replace(placeholder, word)
        return text

    def complaints(self) -> list[str]:
        found = []
        try:
            found += [f"in the mark directory: {name}" for name in os.listdir(self.mark)]
            if self.sacrifice.read_text() != "precious\n" or self.sacrifice.stat().st_mode & 0o777 != 0o666:
                found.append("the sacrifice was changed")
        except OSError as error:
            found.append(f"marks are gone: {error}")
        for folder in ("/", "/tmp", "/var/tmp", "/dev/shm", "/run", "/dev/mqueue", self.scene.home, self.scene.data):
            with contextlib.suppress(OSError):
                found += [f"stray file {folder}/{name}" for name in os.listdir(folder) if self.name in name]
        return found


def suite_of(task: dict[str, Any], place: Place) -> Any:
    """The suite of a row of the corpus."""
    from textmdp.envs.judge import asserts, calls, stdio

    fill = place.fill
    if task["kind"] == "call":
        inputs = [(ast.literal_eval(fill(args)), {}) for args in task["calls"]]
        return calls(
            task["entry"], inputs, [ast.literal_eval(fill(value)) for value in task["expected"]], task.get("tol")
        )
    if task["kind"] == "tests":
        return asserts(task["entry"], [fill(test) for test in task["tests"]], fill(task["setup"]))
    return stdio(fill(task["stdin"]), fill(task["want"]))


class Trial:
    """Grades attacks with one judge and writes down what happened."""

    def __init__(self, judge: Any, scene: Scene, report: Any) -> None:
        self.judge, self.scene, self.report = judge, scene, report
        self.numbers = itertools.count()
        self.lock = threading.Lock()

    def say(self, **line: object) -> None:
        with self.lock:
            self.report.write(json.dumps(line) + "\n")

    def honest(self) -> str:
        """Empty, or what is wrong with a judge that can't grade an honest program."""
        from textmdp.envs.judge import calls

        number = next(self.numbers)  # new content, or the verdict would be remembered
        suite = calls("f", [((number,), {}), ((7,), {})], expected=[number**2, 49])
        try:
            [verdict] = self.judge.grade([(f"def f(x): return x*x  # {number}", suite)], wall=WALL, cpu=CPU)
        except Exception as error:
            return f"an honest program after it: {error!r}"
        return "" if verdict.score == 1 else f"an honest program after it: {verdict}"

    def grade(self, attack: dict[str, Any]) -> tuple[list[str], list[str], float]:
        """One attack: what it broke, what it may have broken, and seconds."""
        place, task = Place(self.scene), attack["task"]
        broke: list[str] = []
        suspected: list[str] = []
        peak, cpu = _peak_memory(), time.process_time()
        try:
            suite = suite_of(task, place)
            for program in task.get("pre", []):
                self.judge.grade([(place.fill(program), suite)], wall=WALL, cpu=CPU)
            start, contended = time.monotonic(), _contended()
            [verdict] = self.judge.grade([(place.fill(attack["code"]), suite)], wall=WALL, cpu=CPU)
        except Exception as error:
            return [f"the judge raised {error!r}"], suspected, 0.0
        seconds = time.monotonic() - start
        uncontended = seconds - (_contended() - contended)
        if attack["expect"]["score"] == 1:
            if verdict.score != 1:  # it may have been short of time
                suspected.append(f"an honest program: {verdict}")
        elif verdict.score == 1 or (verdict.score and attack["name"] not in PARTIAL):
            broke.append(f"score {verdict.score}")
        broke += place.complaints()
        if uncontended > WALL + PATIENCE:
            suspected.append(f"took {seconds:.1f} s, {uncontended:.1f} s of them on a quiet machine")
        if time.process_time() - cpu > 2:
            suspected.append(f"the judge used {time.process_time() - cpu:.1f} s of processor time")
        if _peak_memory() - peak > MEMORY:
            suspected.append(f"the judge's memory grew by {(_peak_memory() - peak) >> 20} MiB")
        if unfair := self.honest():
            suspected.append(unfair)
        if len(verdict.stdout) > OUTPUT or any(len(test.reason) > 1000 for test in verdict.tests):
            broke.append("the verdict is not clipped")
        return broke, suspected, seconds

    def together(self, attacks: list[dict[str, Any]], workers: int) -> None:
        """Grade several at a time, then those under suspicion alone."""
        crowd = [attack for attack in attacks if attack["category"] not in ("honest", "persist")]
        waiting = [attack for attack in attacks if attack["category"] in ("honest", "persist")]
        results: dict[str, tuple[list[str], list[str], float]] = {}

        def work(attack: dict[str, Any]) -> None:
            self.say(started=attack["name"])
            results[attack["name"]] = self.grade(attack)
            broke, suspected, seconds = results[attack["name"]]
            if not suspected:
                self.say(name=attack["name"], why=broke, seconds=seconds)

        # Sleepers and spinners in turns, so that no stretch of time is all of one kind.
        order = sorted(crowd, key=lambda attack: hash_of(attack["name"]))
        if self.settled():  # learns what is normal while nothing has happened yet
            raise AssertionError("processes before the first attack are what later ones are compared with")
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, order))
        again = [attack for attack in crowd if results[attack["name"]][1]]
        if self.scene.complaints() or self.settled():
            again = crowd
        for attack in [*again, *waiting]:
            self.say(started=attack["name"])
            broke, suspected, seconds = self.grade(attack)
            earlier = results[attack["name"]][0] if attack["name"] in results else []
            why = [*earlier, *broke, *suspected, *self.scene.complaints(), *self.settled()]
            self.say(name=attack["name"], why=list(dict.fromkeys(why)), seconds=seconds)

    def settled(self) -> list[str]:
        """Wait until no more processes are below us than when this was first asked; complain where that never comes."""
        end = time.monotonic() + 2
        while True:
            now = len(descendants(os.getpid()))
            self.normal = getattr(self, "normal", now)
            if now <= self.normal:
                return []
            if time.monotonic() > end:
                before, self.normal = self.normal, now
                return [f"{now} processes below the judge, {before} before"]
            time.sleep(0.02)


def hash_of(name: str) -> int:
    """A fixed shuffle."""
    return int.from_bytes(name.encode(), "big") * 2654435761 % 1_000_003


def _contended() -> float:
    """Seconds so far in which something waited for a processor: load is no fault of the judge's. 0 if nobody says."""
    try:
        return int(Path("/proc/pressure/cpu").read_text().split("total=")[1].split()[0]) / 1e6
    except (OSError, IndexError):
        return 0.0


def _peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def host(folder: str) -> None:
    """Entry of the host process."""
    from textmdp.envs.judge import Judge, JudgeUnavailable, asserts, calls, stdio

    adopt(True)  # so that they show up
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: not to outlive the tests
    job = json.loads(Path(folder, "job.json").read_text("utf-8"))
    Path(folder, "job.json").unlink()  # it holds the secret
    workers = job["workers"]
    with Path(folder, "report").open("a", buffering=1) as report:
        scene = Scene(Path(folder), job["secret"])
        judge = Judge(workers=workers, isolation=job["isolation"], output=OUTPUT, modules=job["modules"])
        named = "".join(f"\n# import {name}" for name in job["modules"])  # whoever names one has it
        for attack in job["attacks"]:
            attack["code"] += named
        trial = Trial(judge, scene, report)
        try:
            trial.say(tier=judge.tier)
            # Every slot is to have all its zygotes: one that is started later would count as a process left behind.
            for turn in range(50):
                warm = [
                    item
                    for number in range(2 * workers * turn, 2 * workers * (turn + 1))
                    for item in (
                        (f"def f(x): return x  # {number}", calls("f", [((1,), {})], [1])),
                        (
                            f"import time; time.sleep(0.05)\ndef f(x): return x  # {number}",
                            calls("f", [((1,), {})], [1]),
                        ),
                        (
                            f"def f(x): return x  # {number}{named}",
                            asserts("f", ["import time; time.sleep(0.05); assert f(1) == 1"]),
                        ),
                        (f"import time; time.sleep(0.05); print(input())  # {number}{named}", stdio("1\n", "1\n")),
                    )
                ]
                cold = [verdict for verdict in judge.grade(warm, wall=30.0, cpu=10.0) if verdict.score != 1]
                if cold or len({len(worker._zygotes) for worker in judge._engine._workers}) == 1:
                    break
            if cold:
                raise AssertionError(f"honest programs before the first attack: {cold[0]}")
        except JudgeUnavailable as error:
            trial.say(unavailable=str(error))
            return
        scene.complaints()
        trial.together(job["attacks"], workers)
        judge.close()
        trial.normal = 0
        trial.say(finished=[*scene.complaints(), *trial.settled()])
