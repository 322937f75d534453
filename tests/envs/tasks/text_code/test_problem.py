"""The extraction of programs from bodies, whole functions, fences, prose, and hostile text."""

from __future__ import annotations

import ast
import time

import pytest

from textmdp.envs.judge import calls, stdio
from textmdp.envs.tasks.text_code.problem import MAX_LENGTH, MAX_PARSED, CodeProblem, program_of

PREAMBLE = "from typing import List\n\n\ndef helper(x):\n    return x\n\n\n"
STUB = f'{PREAMBLE}def total(xs: List[int]) -> int:\n    """The sum.\n\n    >>> total([1, 2])\n    3\n    """\n'
SUITE = calls("total", [(([1, 2],), {})], [3])
FUNCTION = CodeProblem(STUB, PREAMBLE, STUB, "total", None, SUITE, "    return sum(xs)\n")
WHOLE = FUNCTION._replace(prompt="Sum.", preamble="", stub="")
SCRIPT = CodeProblem("Add.", "", "", "", None, stdio("1 2\n", "3\n"), "print(sum(map(int, input().split())))\n")
TYPED = "def total(xs: List[int]) -> int:\n    return sum(helper(x) for x in xs)\n"


def returned(program: str, argument: object = (1, 2, 3)) -> object:
    """The result of the program's `total`; these programs are our own."""
    names: dict[str, object] = {}
    exec(compile(program, "program", "exec"), names)  # noqa: S102
    return names["total"](argument)  # type: ignore[operator]


BODIES = {
    "as the data set has it": "    return sum(xs)\n",
    "without a line break": "    return sum(xs)",
    "behind an empty line": "\n    return sum(xs)\n",
    "with Windows lines": "    out = sum(xs)\r\n    return out\r\n",
    "with a tab inside": "    if xs:\n    \treturn sum(xs)\n    return 0\n",
    "first line unindented": "out = 0\n    for x in xs:\n        out += x\n    return out\n",
    "all lines unindented": "out = 0\nfor x in xs:\n    out += x\n\nreturn out\n",
    "followed by def": "    return sum(xs)\n\ndef other():\n    return 1\n",
    "followed by class": "    return sum(xs)\n\n\nclass Other:\n    pass\n",
    "followed by if": "    return sum(xs)\n\nif __name__ == '__main__':\n    boom()\n",
    "followed by print": "    return sum(xs)\n\nprint(boom)\n",
    "followed by a comment": "    return sum(xs)\n# Test\nboom\n",
    "followed by a call": "    return sum(xs)\n\nassert total([1]) == 2\n",
    "followed by prose": "    return sum(xs)\n\nThis function returns the sum, as it's told.\n",
    "followed by the function again": "    return sum(xs)\n\ndef total(xs):\n    return 0\n",
    "text in the first column": '    text = """\nif\nprint\n"""\n    return sum(xs)\n\nboom\n',
    "brackets in the first column": "    out = sum([\nx for x in xs\n])\n    return out\n",
    "cut by a closing fence": "    return sum(xs)\n```\nDone\n",
    "in a fence": "```python\n    return sum(xs)\n```",
    "in a fence, unindented": "The body is\n\n```python\nout = sum(xs)\nreturn out\n```\n",
    "a nested function": "    def inner(x):\n        return x\n    return sum(map(inner, xs))\n",
    "its own docstring": '    """Again."""\n    return sum(xs)\n',
    "uses the helper": "    return sum(map(helper, xs))\n",
}


@pytest.mark.parametrize("response", BODIES.values(), ids=BODIES)
def test_bodies(response):
    program = program_of(FUNCTION, response)
    assert program.startswith(STUB)
    assert returned(program) == 6


def test_bodies_stay_as_they_are():
    assert program_of(FUNCTION, "    return 1\n") == STUB + "    return 1\n"
    stub = "def total(xs): return"
    assert program_of(FUNCTION._replace(stub=stub), " sum(xs)\n") == stub + " sum(xs)\n"


WHOLES = {
    "bare": TYPED,
    "in a fence": f"```python\n{TYPED}```",
    "in a fence without a language": f"```\n{TYPED}```",
    "in a fence of tildes": f"~~~py\n{TYPED}~~~\n",
    "in a long fence": f"````Python3\n{TYPED}````\n",
    "in an indented fence": f"  ```python\n{TYPED}  ```\n",
    "with Windows lines": f"```python\n{TYPED}```\n".replace("\n", "\r\n"),
    "an unclosed fence": f"Sure!\n```python\n{TYPED}",
    "an unclosed fence, cut short": f"```python\n{TYPED}\nprint(total([1, 2",
    "with prose around": f"Sure! Here's the function:\n\n```python\n{TYPED}```\n\nIt's simple: `sum` adds.\n",
    "usage in a second fence": f"```python\n{TYPED}```\nUse it:\n```python\nprint(total([1]))\nboom\n```\n",
    "output in a second fence": f"```python\n{TYPED}```\nprints\n```\n3\n```\n",
    "a shell fence": f"```bash\npip install total\n```\n```python\n{TYPED}```\n",
    "the last of two": f"```python\ndef total(xs):\n    return 0\n```\nBetter:\n```python\n{TYPED}```\n",
    "the last that is Python": f"```python\n{TYPED}```\nor\n```python\ndef total(xs:\n```\n",
    "behind thinking": f"<think>\n```python\ndef total(xs):\n    return 0\n```\n</think>\n{TYPED}",
    "thinking with an open fence": f"<think>\n```python\ndef total\n</think>\n```python\n{TYPED}```",
    "prefilled fence": f"{TYPED}```\nThis adds them.\n",
    "[BEGIN] and [DONE]": f"[BEGIN]\n{TYPED}[DONE]\n\nNext problem\n",
    "[DONE] alone": f"{TYPED}[DONE]\n\n[BEGIN]\ndef other(): pass\n[DONE]\n",
    "prose without fences": f"Here is the code:\n\n{TYPED}\nIt's what you asked for.\n",
    "prose behind": f"{TYPED}\nThis function isn't slow.\n",
    "with its imports": f"import math\n{TYPED}",
    "with future imports": f'"""Doc."""\nfrom __future__ import annotations\n\n{TYPED}',
    "a main guard": f"{TYPED}\nif __name__ == '__main__':\n    boom()\n",
    "helpers behind": "def total(xs):\n    return add(xs)\n\n\ndef add(xs):\n    return sum(xs)\n",
    "decorated": "import functools\n\n@functools.lru_cache\ndef total(xs):\n    return sum(xs)\n",
    "assigned": "total = sum\n",
    "a lambda in a fence": "```\ntotal = lambda xs: sum(xs)\n```",
    "a class Solution": "class Solution:\n    def total(self, xs: List[int]) -> int:\n        return sum(xs)\n",
    "a fence in the docstring": "def total(xs):\n    '''\n    ```\n    1\n    ```\n    '''\n    return sum(xs)\n",
    "the stub repeated": f"```python\n{STUB}    return sum(xs)\n```",
    "an odd character between lines": "def total(xs):\n    a = '\u2028'\n    return sum(xs)\n\nIt's done.",
}


@pytest.mark.parametrize("response", WHOLES.values(), ids=WHOLES)
@pytest.mark.parametrize("problem", [FUNCTION, WHOLE._replace(preamble=PREAMBLE)], ids=["stub", "no stub"])
def test_whole_programs(problem, response):
    program = program_of(problem, response)
    assert "from typing import List" in program
    assert "def helper" in program
    assert returned(program) == 6


def test_whole_programs_without_a_preamble_stay_as_they_are():
    assert program_of(WHOLE, TYPED) == TYPED
    assert program_of(WHOLE, f"```python\n{TYPED}```") == TYPED


def test_future_imports_stay_in_front():
    program = program_of(FUNCTION, f"from __future__ import annotations\nimport math\n{TYPED}")
    assert program.startswith("from __future__ import annotations\nfrom typing import List\n")


def test_programs_that_read_standard_input():
    source = SCRIPT.solution
    assert program_of(SCRIPT, source) == source
    assert program_of(SCRIPT, f"I would write\n```python\n{source}```\nand that's it.") == source
    assert program_of(SCRIPT, f"```\nnot Python at all\n```\n```python\n{source}```\n```text\n3\n```") == source
    assert program_of(SCRIPT, f"{source}\nThat's all.") == f"{source}\n"
    assert program_of(SCRIPT, f"Here's it:\nimport sys\n{source}\nThat's all.") == f"import sys\n{source}\n"


def test_the_epilogue_is_behind_every_program():
    problem = WHOLE._replace(epilogue="def tested(i):\n    return total(Node(i))\n")
    for response in (TYPED, "no code", "    return 1\n"):
        assert program_of(problem, response).endswith("\n\n" + problem.epilogue)


def test_methods_are_bound():
    stub = "class Solution:\n    def total(self, xs):\n"
    problem = FUNCTION._replace(stub=stub, preamble="")
    for response in ("        return sum(xs)\n", "return sum(xs)", f"```python\n{stub}        return sum(xs)\n```"):
        assert returned(program_of(problem, response)) == 6


@pytest.mark.parametrize(
    "response",
    ["", "\n\n", "I cannot.", "```python\n```", "    return (", "def total(xs:\n    return", "return \0", "\ud800"],
)
def test_what_is_no_program_is_left_for_the_judge(response):
    for problem in (FUNCTION, WHOLE, SCRIPT):
        program = program_of(problem, response)
        assert program.startswith(problem.stub)
        assert response.replace("```python\n```", "") in program


def nested(depth: int) -> str:
    return "".join(" " * i + "if x:\n" for i in range(depth)) + " " * depth + "pass\n"


HOSTILE = {
    "signs": "total = " + "-" * 60_000 + "1",
    "sums": "total = 1" + "+1" * 30_000,
    "sums on lines": "total = (1" + "\n+1" * 20_000 + ")",
    "brackets": "total = " + "(" * 30_000 + ")" * 30_000,
    "attributes": "total = a" + ".b" * 30_000,
    "calls": "total = f" + "()" * 30_000,
    "not": "total = " + "not " * 15_000 + "1",
    "lambda": "total = " + "lambda:" * 9_000 + "1",
    "ternary": "total = " + "1 if a else " * 5_000 + "1",
    "elif": "total = 1\nif a:\n    pass\n" + "elif a:\n    pass\n" * 3_000,
    "blocks": "total = 1\n" + nested(300),
    "digits": "total = " + "9" * 60_000,
    "long": "total = 1\n" + "x = 1\n" * 200_000,
    "lines in the first column": "    x = (\n" + "total\n" * 10_000,
    "statements that fail": "def total(): pass\n" + "x y\n" * 10_000,
    "fences": "```python\nx y total\n```\n" * 5_000,
    "open fences": "```python\n" * 5_000 + "x",
    "backticks": "```" + "a" * 60_000 + "`\n" + "`" * 60_000 + "x",
    "thinking": "</think>" * 50_000,
    "strings": "total = '''" + "\n" * 60_000,
    "f-strings": "total = " + "f'{" * 5_000,
    "escapes": "total = '\\d'\n" * 3_000,
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("response", HOSTILE.values(), ids=HOSTILE)
def test_hostile_responses_cost_little(response):
    for problem in (FUNCTION, WHOLE, SCRIPT):
        start = time.process_time()
        program = program_of(problem, response)
        assert time.process_time() - start < 2.0  # generous: 0.3 s on a quiet machine
        assert isinstance(program, str)


def test_what_is_parsed_is_bounded(monkeypatch):
    parsed = []
    parse = ast.parse
    monkeypatch.setattr(ast, "parse", lambda text: (parsed.append(len(text)), parse(text))[1])
    for response in HOSTILE.values():
        parsed.clear()
        program_of(FUNCTION, response)
        assert sum(parsed) <= MAX_PARSED
        assert max(parsed, default=0) <= MAX_LENGTH


def test_a_program_too_long_to_be_read_is_left_as_it_is():
    response = TYPED + "# " + "x" * MAX_LENGTH
    assert program_of(WHOLE, response) == response
