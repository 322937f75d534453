"""Rows in the format of ../shared/attacks.jsonl, the tasks and the lines of code that many of them share.

A program that gets where it should not says so by returning the secret that its test expects.
"""

from __future__ import annotations

from typing import Any

SQUARE = {"kind": "call", "entry": "f", "calls": ["(3,)", "(10,)", "(25,)"], "expected": ["9", "100", "625"]}
SECRET = {"kind": "call", "entry": "f", "calls": ["(1,)", "(2,)"], "expected": ["'@@SECRET@@'", "'@@SECRET@@'"]}
ASSERTS = {"kind": "tests", "entry": "f", "setup": "", "tests": ["assert f(3) == 9", "assert f(10) == 100"]}
STDIN = {"kind": "stdin", "stdin": "3 4\n", "want": "7\n"}
LIBC = "import ctypes, os\nl = ctypes.CDLL(None, use_errno=True)\n"
FIND = """
import re
def pick(s):
    m = re.search('SECRET_[0-9a-f]{16}', s if isinstance(s, str) else repr(s))
    return m and m.group()
"""

ATTACKS: list[dict[str, Any]] = []


def attack(name: str, task: dict[str, Any], code: str, held: str = "score 0", *pre: str) -> None:
    """Add a program; its category is the first word of its name."""
    category = name.split("_")[0]
    task = {**task, "pre": list(pre)} if pre else task
    score = int(category == "honest")
    expect = {"score": score, "held_means": held}
    ATTACKS.append({"name": f"own_{name}", "category": category, "code": code, "task": task, "expect": expect})
