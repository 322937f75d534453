"""Client of the symbolic worker: one helper process for each process that asks, started when first needed.

The worker imports sympy once and forks a child for each question, so a question that hangs costs one killed child and
no second import. The client keeps one lock for its threads, ends the worker at exit, and starts anew in a forked
process (pipes are never shared between processes).
"""

import atexit
import importlib.util
import json
import os
import select
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

from textmdp.envs.answers.symbolic_worker import WALL_SECONDS

START_SECONDS = 300.0
"""Longest wait for the worker to import sympy (one second on an idle machine; no part of any question's time)."""
PROCESSOR_SECONDS = (0.5, 1.0)
"""Processor time of one question: of the first try, and of the second, for what the first left undecided."""
MAX_TEXT = 1_500
"""Characters of each side; longer answers are not compared by algebra."""

# The worker sees the same modules as we do, whatever made them visible; -I keeps a stray sympy.py in the working
# directory out. The packages above this one are empty stand-ins there: the worker needs neither gymnasium nor numpy,
# which textmdp.envs imports, and each forked child is smaller and faster without them.
_BOOT = """
import json, sys, types
sys.path[:] = json.loads(sys.argv[1])
for name, folders in (("textmdp", []), ("textmdp.envs", [sys.argv[2]])):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = folders
from textmdp.envs.answers.symbolic_worker import main
main()
"""
_ENVS_FOLDER = str(Path(__file__).resolve().parents[1])


class SymbolicUnavailableError(ImportError):
    """math-verify, and sympy with it, is not installed."""


def require_symbolic() -> None:
    """Raise :class:`SymbolicUnavailableError`, which names the fix, where the symbolic comparison cannot run."""
    if any(importlib.util.find_spec(name) is None for name in ("math_verify", "latex2sympy2_extended", "sympy")):
        raise SymbolicUnavailableError('comparing formulas needs math-verify: pip install "textmdp[math]"')
    if not hasattr(os, "fork"):
        raise SymbolicUnavailableError("comparing formulas needs os.fork (Linux, macOS, WSL); pass symbolic=False here")


class Worker:
    """A worker process with its pipes. Not shared between processes; calls from threads take turns.

    Raises:
        SymbolicUnavailableError: where it cannot be started.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, gold: str, answer: str) -> bool | None:
        """Compare two cleaned texts.

        Args:
            gold: the reference
            answer: the text to judge

        Returns:
            The verdict; None, undecided, where the worker ran out of processor time or memory twice, the second time
            with more of it, or was killed from outside twice.
        """
        if max(len(gold), len(answer)) > MAX_TEXT:
            return False
        with self._lock:
            for seconds in PROCESSOR_SECONDS:
                verdict = self._ask_once(gold, answer, seconds)
                if verdict is not None:
                    return verdict
        return None

    def _ask_once(self, gold: str, answer: str, seconds: float) -> bool | None:
        """One try; a worker that has died is replaced by the next."""
        payload = json.dumps([gold, answer, seconds]).encode()
        process = self._process or self._start()
        try:
            assert process.stdin is not None
            message = memoryview(struct.pack(">I", len(payload)) + payload)
            while message:
                message = message[process.stdin.write(message) or 0 :]
            verdict = self._read(process, 2 * WALL_SECONDS)
        except (OSError, EOFError, ValueError):  # dead, or stuck (TimeoutError), which its limits should prevent
            self._stop()
            return None
        except BaseException:  # Ctrl-C in between: the answer to come would be taken for the next one
            self._stop()
            raise
        return verdict if isinstance(verdict, bool) else None

    def _start(self) -> subprocess.Popen[bytes]:
        require_symbolic()
        process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-c", _BOOT),
                *(json.dumps([path for path in sys.path if path]), _ENVS_FOLDER),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,  # no buffer that a forked copy of this object could write again
        )
        self._process = process
        try:
            self._read(process, START_SECONDS)
        except (OSError, EOFError, ValueError) as error:
            self._stop()
            raise SymbolicUnavailableError(
                'the symbolic worker did not start: pip install --upgrade "textmdp[math]", or pass symbolic=False'
            ) from error
        return process

    @staticmethod
    def _read(process: subprocess.Popen[bytes], seconds: float) -> object:
        """One length-prefixed JSON message; raises EOFError at the end of the pipe, TimeoutError too late."""
        assert process.stdout is not None
        descriptor, deadline, data = process.stdout.fileno(), time.monotonic() + seconds, b""
        while len(data) < 4 or len(data) < 4 + struct.unpack(">I", data[:4])[0]:
            poll = select.poll()  # select.select refuses descriptors above 1023
            poll.register(descriptor, select.POLLIN | select.POLLHUP)
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimeoutError("the symbolic worker did not answer in time")
            chunk = os.read(descriptor, 65536)
            if not chunk:
                raise EOFError("the symbolic worker ended")
            data += chunk
        return json.loads(data[4:])

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:
                pass  # what was not flushed has no reader any more
        process.wait()

    def close(self) -> None:
        """End the worker process; the next question starts another."""
        with self._lock:
            self._stop()

    def forget(self) -> None:
        """After a fork: the worker belongs to the parent. Close our copies of its pipes, so that it ends with it."""
        process, self._process, self._lock = self._process, None, threading.Lock()
        if process is not None:
            process.returncode = 0  # not our child: keep Popen from waiting for it or warning
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


WORKER = Worker()
"""The worker of this process."""

atexit.register(WORKER.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=WORKER.forget)
