"""A programming problem, and the rule that extracts the program from a response."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from textmdp.envs.judge import Suite

#: The maximum number of characters and of operators of a text that is parsed.
MAX_LENGTH, MAX_OPERATORS = 65_536, 4_000
#: The maximum number of characters that are parsed for one response, in all its readings: 0.2 s.
MAX_PARSED = 262_144
#: The maximum number of fenced blocks that are read, from the last one up, and of places at which a text is cut.
MAX_BLOCKS, MAX_CUTS = 16, 16

# Operators that nest the syntax tree without brackets: a long chain may exhaust the stack of an older CPython's parser.
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
    """The text that the environment shows."""
    preamble: str
    """Code before a response that is a whole program: the imports and helpers of the prompt."""
    stub: str
    """Code that a bare function body continues; "" if the response must be a whole program."""
    entry: str
    """The name of the function under test; "" for a program that reads standard input."""
    visible: Suite | None
    """The examples in the prompt; None if it has none that can be graded."""
    hidden: Suite
    """The tests that the reward counts; the prompt shows none of them if there are others."""
    solution: str
    """A response that earns full marks; "" if the data set has none."""
    epilogue: str = ""
    """Code after the program, for tests whose inputs are objects of classes that the program defines."""


def program_of(problem: CodeProblem, response: str) -> str:
    """Extract the program from a response. Nothing is executed, and it takes at most 0.3 s.

    Text before the last `</think>` is ignored. The candidates are the fenced blocks of Python, from the last one up,
    and then the text before the first fence. Fences are lines of three or more backticks or tildes, or `[BEGIN]` and
    `[DONE]`; a block without an end extends to the end of the response. The program is the first candidate that can be
    read

    1. as a whole program: valid Python that defines the entry at its top level (any valid Python if there is no entry).
       The preamble is put before it;
    2. else as a body, which begins with an indented line and continues the stub: it ends before the first line in the
       first column at which stub and body are valid Python, as completions are usually stopped;
    3. else in part: the whole program that begins with the first `def`, `class`, `import`, `from` or `@` in the first
       column, and ends before the first statement that is not valid Python;
    4. else as a body that lost the indentation of all its lines, else one that lost that of its first line.

    A response that cannot be read in any of these ways is left to the judge, which rejects it: the last block, else the
    text, after the stub or, if there is none, after the preamble. A method of a class `Solution` counts as the entry,
    and is bound to the entry's name.
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
    return "".join(before), [block for block in reversed(blocks) if block.strip()][:MAX_BLOCKS]


class _Reader:
    """The ways to read a text as a program. Each returns the program or None; they share `MAX_PARSED` characters."""

    def __init__(self, problem: CodeProblem):
        self._problem = problem
        self._left = MAX_PARSED

    def _parsed(self, text: str) -> ast.Module | SyntaxError | None:
        """The syntax tree, or the error of an invalid text; None if it is too long, too deep or over the budget."""
        self._left -= len(text)
        if self._left < 0 or len(text) > MAX_LENGTH or len(_OPERATOR.findall(text)) > MAX_OPERATORS:
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
        # These must come before everything else.
        end = (imports[-1].end_lineno or 0) if imports and self._problem.preamble else 0
        lines = _LINE.findall(text)
        return "".join(lines[:end]) + _joined(self._problem.preamble, "".join(lines[end:])) + binding

    def body(self, text: str) -> str | None:
        """The text as a body that continues the stub."""
        stub = self._problem.stub
        if not stub or (stub.endswith("\n") and not text.lstrip("\n")[:1].isspace()):
            return None
        ends = [line.start() for line, _ in zip(_TOP.finditer(text), range(MAX_CUTS), strict=False)]
        for end in (*ends, len(text)):
            tree = self._parsed(stub + text[:end]) if text[:end].strip() else None
            binding = _binding(tree.body, self._problem.entry) if isinstance(tree, ast.Module) else None
            if binding is not None:
                return stub + text[:end] + binding
        return None

    def unindented(self, text: str) -> str | None:
        """The text as a body without its indentation."""
        text = text.lstrip("\n")
        if not self._problem.stub.endswith("\n") or text[:1].isspace():
            return None
        indent = _indentation(self._problem.stub)
        every = "".join(indent + line if line.strip() else line for line in _LINE.findall(text))
        program = self.body(every)
        return self.body(indent + text) if program is None else program

    def part(self, text: str) -> str | None:
        """The whole program within the text."""
        start = _CODE.search(text)
        part = text[start.start() :] if start else "" if self._problem.entry else text
        for _ in range(MAX_CUTS):
            program = self.whole(part)
            error = self._parsed(part) if program is None else None
            if not isinstance(error, SyntaxError):
                return program
            # Up to the line in the first column at which the invalid statement begins.
            lines = _LINE.findall(part)
            end = min(error.lineno or 1, len(lines)) - 1
            while end > 0 and (not lines[end].strip() or lines[end][:1].isspace()):
                end -= 1
            part = "".join(lines[: max(end, 0)])
        return None


def _binding(body: Sequence[ast.stmt], entry: str) -> str | None:
    """Code after a program that binds the entry's name, mostly ""; None if the program does not define the entry."""
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
    """The indentation of a body: that of the stub's last line, and four more blanks if that line begins a block."""
    last = stub.rstrip().rpartition("\n")[2]
    return last[: len(last) - len(last.lstrip())] + ("    " if last.endswith(":") else "")
