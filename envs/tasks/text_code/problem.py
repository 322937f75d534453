"""A programming problem, and the one rule what of a response is the program."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from textmdp.envs.judge import Suite

#: Texts that are longer, or have more operators, are not parsed.
LONGEST, MOST_OPERATORS = 65_536, 4_000
#: Characters that are parsed for one response, its readings together: 0.2 s.
BUDGET = 262_144
#: So many fenced blocks are read, from the last one up, and a text is cut at so many places.
MOST_BLOCKS, MOST_CUTS = 16, 16

# What nests the syntax tree without brackets: on a long chain the parser of an older CPython may exhaust the stack.
_OPERATOR = re.compile(r"[-+*/%@&|^~<>.(\[]|\b(?:not|lambda|elif|else|await|yield)\b")
#: The marks that close a block of code.
FENCES = ("```", "~~~", "[DONE]")
_MARKS = (*FENCES, "[BEGIN]")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,}|\[BEGIN\]|\[DONE\])")
_LANGUAGE = re.compile(r"(?:py|python|pycon)?[\d.]*", re.IGNORECASE)
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_TOP = re.compile(r"^(?=\S)", re.MULTILINE)
_CODE = re.compile(r"^(?:(?:async )?def \w|class \w|@\w|import \w|from [\w.]+ import )", re.MULTILINE)


class CodeProblem(NamedTuple):
    """A programming problem with its tests."""

    prompt: str
    """What is shown to the agent."""
    preamble: str
    """Code put in front of a response that is a whole program: the imports and helpers of the prompt."""
    stub: str
    """Code that a bare function body continues; "" where the response must be a whole program."""
    entry: str
    """The name of the function under test; "" for a program that reads standard input."""
    visible: Suite | None
    """The examples that the prompt shows; None where it shows none that can be graded."""
    hidden: Suite
    """The tests that the reward counts; none of them is shown where there are others."""
    solution: str
    """A response that earns full marks; "" where the data set has none."""
    epilogue: str = ""
    """Code put behind the program: for tests whose inputs only the program can build, of classes that it defines."""


def program_of(problem: CodeProblem, response: str) -> str:
    """What of a response is the program. Nothing is executed, and 0.3 s is the most that it takes.

    What stands before the last `</think>` is not read. Texts that may hold the program are the fenced blocks of Python,
    from the last one up, and then what stands before the first fence. Fences are lines of three or more backticks or
    tildes, or `[BEGIN]` and `[DONE]`; a block that never closes goes on to the end. The program is the first text that
    can be read

    1. as a whole program: it is Python that defines the entry at its top level (any Python where there is no entry).
       The preamble is put in front of it;
    2. else as a body, which begins with an indented line and continues the stub: it ends before the first line in the
       first column where stub and body are Python, which is where completions are stopped;
    3. else in part: the whole program that begins with the first `def`, `class`, `import`, `from` or `@` in the first
       column, and ends before the statement there that is no Python;
    4. else as a body all of whose lines lost their indentation, else one whose first line did.

    What can be read in none of these ways is left for the judge to refuse: the last block, else the text, behind the
    stub or, where there is none, behind the preamble. A method of a class `Solution` counts as the entry: it is bound
    to the entry's name.
    """
    text = response.rpartition("</think>")[2].replace("\r\n", "\n").replace("\r", "\n")
    before, blocks = _blocks(text)
    texts = [*blocks, before]
    reader = _Reader(problem)
    for read in (reader.whole, reader.body, reader.part, reader.unindented):
        program = next((found for text in texts if (found := read(text)) is not None), None)
        if program is not None:
            break
    else:
        program = problem.stub + texts[0] if problem.stub else _joined(problem.preamble, texts[0])
    return f"{program}\n\n{problem.epilogue}" if problem.epilogue else program


def _blocks(text: str) -> tuple[str, list[str]]:
    """The text before the first fence, and the fenced blocks of Python, the last one first."""
    if not any(mark in text for mark in _MARKS):
        return text, []
    before: list[str] = []
    blocks: list[str] = []
    lines, fence, is_python = before, "", False
    for line in _LINE.findall(text):
        found = _FENCE.match(line)
        info = line[found.end() :].strip() if found else ""
        if not found or "`" in info:
            lines.append(line)
        elif not fence:
            fence, lines = found[1], []
            is_python = _LANGUAGE.fullmatch(info.partition(" ")[0]) is not None
        elif (found[1].startswith(fence) and not info) or (fence, found[1]) == ("[BEGIN]", "[DONE]"):
            if is_python:
                blocks.append("".join(lines))
            fence, lines = "", []  # prose between blocks belongs to none
        else:
            lines.append(line)
    if fence and is_python:
        blocks.append("".join(lines))
    return "".join(before), [block for block in reversed(blocks) if block.strip()][:MOST_BLOCKS]


class _Reader:
    """The ways to read a text as a program; each gives the program, or None. They share the budget of one response."""

    def __init__(self, problem: CodeProblem):
        self._problem = problem
        self._left = BUDGET

    def _parsed(self, text: str) -> ast.Module | SyntaxError | None:
        """The syntax tree; the error of what is not Python; None for what is too large, too deep or over the budget."""
        self._left -= len(text)
        if self._left < 0 or len(text) > LONGEST or len(_OPERATOR.findall(text)) > MOST_OPERATORS:
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # invalid escapes, `is` with a literal
                return ast.parse(text)
        except SyntaxError as error:
            return error
        except (ValueError, RecursionError, MemoryError):
            return None

    def whole(self, text: str) -> str | None:
        """The text as a whole program."""
        if self._problem.entry not in text:
            return None
        tree = self._parsed(text)
        if not isinstance(tree, ast.Module) or not tree.body:
            return None
        binding = _binding(tree.body, self._problem.entry)
        if binding is None:
            return None
        imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
        # These must stay in front of everything.
        end = (imports[-1].end_lineno or 0) if imports and self._problem.preamble else 0
        lines = _LINE.findall(text)
        return "".join(lines[:end]) + _joined(self._problem.preamble, "".join(lines[end:])) + binding

    def body(self, text: str) -> str | None:
        """The text as a body that continues the stub."""
        stub = self._problem.stub
        if not stub or (stub.endswith("\n") and not text.lstrip("\n")[:1].isspace()):
            return None
        ends = [line.start() for line, _ in zip(_TOP.finditer(text), range(MOST_CUTS), strict=False)]
        for end in (*ends, len(text)):
            tree = self._parsed(stub + text[:end]) if text[:end].strip() else None
            binding = _binding(tree.body, self._problem.entry) if isinstance(tree, ast.Module) else None
            if binding is not None:
                return stub + text[:end] + binding
        return None

    def unindented(self, text: str) -> str | None:
        """The text as a body that lost its indentation."""
        text = text.lstrip("\n")
        if not self._problem.stub.endswith("\n") or text[:1].isspace():
            return None
        indent = _indentation(self._problem.stub)
        every = "".join(indent + line if line.strip() else line for line in _LINE.findall(text))
        program = self.body(every)
        return self.body(indent + text) if program is None else program

    def part(self, text: str) -> str | None:
        """The whole program that is a part of the text."""
        start = _CODE.search(text)
        part = text[start.start() :] if start else "" if self._problem.entry else text
        for _ in range(MOST_CUTS):
            program = self.whole(part)
            error = self._parsed(part) if program is None else None
            if not isinstance(error, SyntaxError):
                return program
            # Up to the line in the first column where the statement begins that is no Python.
            lines = _LINE.findall(part)
            end = min(error.lineno or 1, len(lines)) - 1
            while end > 0 and (not lines[end].strip() or lines[end][:1].isspace()):
                end -= 1
            part = "".join(lines[: max(end, 0)])
        return None


def _binding(body: Sequence[ast.stmt], entry: str) -> str | None:
    """What is put behind a program so that it defines the entry: mostly nothing; None where it does not define it."""
    if not entry or entry in _defined(body):
        return ""
    solutions = (node for node in body if isinstance(node, ast.ClassDef) and node.name == "Solution")
    if any(entry in _defined(node.body) for node in solutions):
        return f"\n\n{entry} = Solution().{entry}\n"
    return None


def _defined(body: Sequence[ast.stmt]) -> Iterator[str]:
    """The names that statements bind by def, class and assignment."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _joined(preamble: str, text: str) -> str:
    """The preamble, on lines of its own, and the text."""
    return f"{preamble.rstrip()}\n\n{text}" if preamble.strip() else text


def _indentation(stub: str) -> str:
    """The indentation of a body: that of the stub's last line, and four blanks more where this begins a block."""
    last = stub.rstrip().rpartition("\n")[2]
    return last[: len(last) - len(last.lstrip())] + ("    " if last.endswith(":") else "")
