"""Generated programming problems: correct, unambiguous, disjoint by split, with tests that catch mutants."""

from __future__ import annotations

import ast
import doctest
import importlib
import itertools
import random
import sysconfig
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textmdp.envs.core.task import END_OF_TURN
from textmdp.envs.data.counter_rng import CounterRNG
from textmdp.envs.judge.inside.wire import decode
from textmdp.envs.tasks.text_code.generator.generate import DEFAULT_LEVEL, HIDDEN, LEVELS, Exercise, Programs, grammar
from textmdp.envs.tasks.text_code.generator.grammar import ProgramGrammar
from textmdp.envs.tasks.text_code.generator.mutants import mutants
from textmdp.envs.tasks.text_code.generator.prefix import valid_prefix
from textmdp.envs.tokenizers import make_tokenizer

MANY = np.random.default_rng(1).integers(0, 1 << 62, size=400)
each_level = pytest.mark.parametrize("difficulty", sorted(LEVELS))


def exercises(difficulty: str, count: int = 400, split: str = "all") -> list[Exercise]:
    """Different ones among so many."""
    found = Programs(difficulty, split, 5).exercises(MANY[:count])
    return list({exercise.problem.prompt: exercise for exercise in found}.values())


def function(program: str):
    """The names that a program of our own defines; untrusted programs go to the judge."""
    names: dict = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        exec(program, names)  # noqa: S102
    return names["f"]


def result(f, arguments):
    """The result of a call, or the type of its exception; arguments are copied, since functions may change them."""
    try:
        return f(*[[*value] if isinstance(value, list) else value for value in arguments])
    except Exception as error:
        return type(error)


def results_of(suite):
    return [(decode(line)[0], decode(wanted)) for line, wanted in zip(suite.inputs, suite.expected, strict=True)]


# Problems


@each_level
def test_the_reference_does_what_the_statement_says_to_do(difficulty):
    for exercise in exercises(difficulty):
        problem = exercise.problem
        f = function(problem.stub + problem.solution)
        for suite in (problem.hidden, problem.visible):
            for arguments, wanted in results_of(suite):
                assert result(f, arguments) == wanted, problem
                assert type(result(f, arguments)) is type(wanted)
        for arguments, wanted in results_of(problem.visible):
            assert f">>> f({', '.join(map(repr, arguments))})\n    {wanted!r}\n" in problem.prompt
        assert problem.prompt.startswith(problem.stub)
        ast.parse(problem.prompt + problem.solution)


@each_level
def test_no_hidden_test_is_shown(difficulty):
    for exercise in exercises(difficulty):
        hidden, visible = exercise.problem.hidden, exercise.problem.visible
        assert len(hidden) == HIDDEN == len({*hidden.inputs})
        assert len(visible) == LEVELS[difficulty].examples
        assert not {*hidden.inputs} & {*visible.inputs}


@each_level
def test_a_statement_has_one_answer(difficulty):
    programs: dict[str, str] = {}
    for seed in range(3):
        for exercise in Programs(difficulty, "all", seed).exercises(range(500)):
            statement = exercise.problem.prompt.split('"""')[1].partition("\n")[0]
            assert programs.setdefault(statement, exercise.problem.solution) == exercise.problem.solution
            assert exercise.problem.solution.count("\n") or exercise.mistake.startswith("    return ")


@each_level
def test_splits_share_no_function(difficulty):
    train, test = (
        {exercise.problem.hidden for exercise in Programs(difficulty, split, 3).exercises(range(300))}
        for split in ("train", "test")
    )
    assert train
    assert test
    assert not train & test  # the tests of a function are drawn from what it computes


def test_the_default_has_thousands_of_problems():
    found = Programs(DEFAULT_LEVEL, "all").exercises(range(10_000))
    assert len({exercise.problem.prompt for exercise in found}) > 2000
    assert len({exercise.problem.hidden.expected for exercise in found}) > 1400


def test_one_in_five_is_held_out():
    found = {split: Programs("one-step", split).exercises(range(1000)) for split in ("train", "test")}
    train, test = (len({exercise.problem.prompt for exercise in found[split]}) for split in found)
    assert 0.1 < test / (train + test) < 0.35


@each_level
def test_problems_are_functions_of_their_index(difficulty):
    supply = Programs(difficulty, "train", 2)
    found = supply.exercises(MANY[:50])
    assert found == [supply.exercises([index])[0] for index in MANY[:50].tolist()]
    assert found != Programs(difficulty, "train", 3).exercises(MANY[:50])
    assert len({exercise.problem.prompt for exercise in found}) > (8 if difficulty == "entry" else 20)


@pytest.mark.parametrize("index", [-1, 1 << 62])
def test_indices_are_checked(index):
    with pytest.raises(IndexError, match="numbered from 0"):
        Programs().exercises([index])


@each_level
def test_everything_is_written_in_the_vocabulary(difficulty):
    level = LEVELS[difficulty]
    tokenizer = make_tokenizer(None, level.vocabulary)
    longest = 0
    for exercise in exercises(difficulty):
        for text in (exercise.problem.prompt, exercise.problem.solution, exercise.mistake):
            assert tokenizer.decode(tokenizer.encode(text)) == text
        longest = max(longest, len(tokenizer.encode(exercise.problem.solution)) + 1)
        assert len(exercise.problem.prompt.encode()) <= level.max_text_bytes
    assert longest <= level.max_response_tokens
    assert level.compose(CounterRNG(1)) is None or level.example


# Tests that catch


def wide(difficulty: str, count: int) -> list[tuple]:
    """Arguments far beyond those of the tests; functions that agree on all of them count as equal."""
    rng = random.Random(0)
    if difficulty == "texts":
        return [tuple("".join(rng.choices("abcde", k=rng.randint(0, 8))) for _ in range(count)) for _ in range(400)]
    if difficulty == "lists":
        return [([rng.randint(-5, 16) for _ in range(rng.randint(0, 7))],) for _ in range(400)]
    return [*itertools.product(range(-12, 26), repeat=count)]


@each_level
def test_hidden_tests_catch_slips_of_the_pen(difficulty):
    """The tests catch at least 99 % of the mutants that compute another function."""
    caught, missed = 0, []
    for exercise in exercises(difficulty, 60):
        problem = exercise.problem
        reference = problem.stub + problem.solution
        f, tests = function(reference), results_of(problem.hidden)
        beyond = [(arguments, result(f, arguments)) for arguments in wide(difficulty, problem.stub.count(",") + 1)]
        for mutant in mutants(reference):
            g = function(mutant)
            if any(result(g, arguments) != wanted for arguments, wanted in tests):
                caught += 1
            elif any(result(g, arguments) != wanted for arguments, wanted in beyond):
                missed.append(mutant)
    assert caught > (50 if difficulty == "entry" else 200)
    assert caught / (caught + len(missed)) >= 0.99, missed


def test_mutants_are_other_programs_that_compile():
    for difficulty in LEVELS:
        for exercise in exercises(difficulty, 20):
            reference = exercise.problem.stub + exercise.problem.solution
            found = mutants(reference)
            assert len(found) == len({*found}) > 4
            assert ast.unparse(ast.parse(reference)) not in found
            for mutant in found:
                ast.parse(mutant)


def test_mutants_have_every_kind_of_change():
    found = mutants(
        "def f(n):\n    total = 0\n    for i in range(1, n + 1):\n        if i % 2 == 0:\n            total += i\n"
        "    return total"
    )
    for piece in ("total = 1", "range(1, n)", "range(2, n + 1)", "i % 2 != 0", "i % 3", "total -= i", "pass", "not i"):
        assert any(piece in mutant for mutant in found), piece
    assert any(mutant.count("return total") == 2 for mutant in found), "an early return"
    assert any("if" not in mutant for mutant in found), "a missing condition"
    assert "def f(s):\n    return s" in mutants("def f(s):\n    return s.upper()[1:]".replace("[1:]", ""))


def test_somebody_careless_is_mostly_wrong_and_always_plausible():
    for difficulty in LEVELS:
        found = exercises(difficulty)
        assert 0.3 < np.mean([e.mistake != e.problem.solution for e in found]) <= 1
        for exercise in found:
            ast.parse(exercise.problem.stub + exercise.mistake)


# The grammar


@each_level
def test_references_and_slips_are_in_the_grammar(difficulty):
    level = LEVELS[difficulty]
    tokenizer = make_tokenizer(None, level.vocabulary)
    for exercise in exercises(difficulty, 150):
        rules = grammar(difficulty, exercise.problem.stub)
        for text in (exercise.problem.solution, exercise.mistake):
            written = ""
            for token in map(tokenizer.token_text, tokenizer.encode(text)):
                assert token in rules.following(written, level.max_response_tokens), (written, token)
                written += token
            assert END_OF_TURN in rules.following(written, level.max_response_tokens)
            assert rules.accepts(text)


@each_level
def test_masked_walks_compile_know_their_names_and_stay_in_the_budget(difficulty):
    level = LEVELS[difficulty]
    tokenizer = make_tokenizer(None, level.vocabulary)
    rng = random.Random(1)
    stubs = sorted({exercise.problem.stub for exercise in exercises(difficulty)})
    for budget in [level.max_response_tokens] * 150 + [5] * 20 + [9] * 20:
        stub = rng.choice(stubs)
        rules, text, count, token = grammar(difficulty, stub), "", 0, None
        while token != END_OF_TURN:
            token = rng.choice(rules.following(text, budget))
            text, count = text + token, count + 1
        assert count <= budget
        assert len(tokenizer.encode(text)) + 1 == count, f"{text!r} comes back as other tokens"
        assert rules.accepts(text)
        assert_names_are_bound(stub + text)


def assert_names_are_bound(program: str) -> None:
    """By the rule of blocks: a name is read where the same or an outer block bound it before."""

    def check(body, bound):
        for node in body:
            inner = {*bound}
            if isinstance(node, ast.For):
                read = [node.iter]
                inner.add(node.target.id)
            else:
                read = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
                read = read[1:] if isinstance(node, ast.Assign) else read
            names = {name.id for part in read for name in ast.walk(part) if isinstance(name, ast.Name)}
            assert names <= bound | {"len", "sum", "sorted", "range"}, program
            check(getattr(node, "body", []), inner)
            if isinstance(node, ast.Assign):
                bound = bound | {node.targets[0].id}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        compile(program, "f.py", "exec")
    (f,) = ast.parse(program).body
    check(f.body, {argument.arg for argument in f.args.args})


def test_the_grammar_knows_scopes():
    vocabulary = LEVELS["loops"].vocabulary
    rules = ProgramGrammar(vocabulary, ("n",), ("total", "i"))
    assert "total" not in rules.following("    return ", 48)
    assert "total" not in rules.following("    total = ", 48), "it is bound behind the assignment"
    assert "total" in rules.following("    total = 0\n    return ", 48)
    assert "i" in rules.following("    for i in range(0, n):\n        return ", 48)
    assert "i" not in rules.following("    for i in range(0, n):\n        return i\n    return ", 48)
    assert " += " not in rules.following("    total", 48)
    assert " += " in rules.following("    n", 48)
    assert "\n            " in rules.following("    if n > 2:\n        if n > 3:", 48)
    assert "if " not in rules.following("    if n > 2:\n        if n > 3:\n            ", 48), "no deeper than that"


@pytest.mark.parametrize("text", ["x", "   return x", "    return return ", "    return 03", "    return (x", "$"])
def test_what_is_no_beginning_can_only_be_ended(text):
    rules = ProgramGrammar(LEVELS["two-step"].vocabulary, ("x", "y"))
    assert not rules.accepts(text)
    if text != "    return (x":
        assert rules.following(text, 16) == (END_OF_TURN,)
        assert rules.following(text, 16) == (END_OF_TURN,)


# Beginnings of programs


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("", ""),
        ("    return (x + 3) * y", "    return (x + 3) * y"),
        ("    return (x + 3) * y)", "    return (x + 3) * y"),
        ("return x +* 2", "return x +"),
        ("x = (1, 2]", "x = (1, 2"),
        ("x = [1,\n 2", "x = [1,\n 2"),
        ("a b", "a "),
        ("f(x))", "f(x)"),
        ("  return 1\n    return 2", "  return 1\n    "),
        ("if x:\n    pass\n  else:", "if x:\n    pass\n  "),
        ("if x:\nreturn", "if x:\n"),
        ("s = 'abc\nd", "s = "),
        ("s = 'abc", "s = 'abc"),
        ('"""any\n) thing', '"""any\n) thing'),
        ("I think the answer is 3", "I "),
        ("for x, in y[:, 0]:", "for x, in y[:, 0]:"),
        ("def f(a, /, *, b=lambda: 0):", "def f(a, /, *, b=lambda: 0):"),
        ("x = 3 $", "x = 3 "),
        ("return x ==\n", "return x =="),
    ],
)
def test_valid_prefixes(text, valid):
    assert text[: valid_prefix(text)] == valid


def test_python_s_own_library_is_valid():
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("[a-e]*.py")):
        text = path.read_text("utf-8", errors="replace")
        assert valid_prefix(text) == len(text), path


@settings(max_examples=200)
@given(st.text("  \n\n()[]{}:.,=+*'\"\\#x3 if not return", max_size=60), st.integers(0, 60))
def test_more_of_a_text_is_never_worth_less(text, cut):
    valid = valid_prefix(text)
    assert 0 <= valid <= len(text)
    assert valid_prefix(text[:valid]) == valid
    assert valid_prefix(text[:cut]) <= max(valid, valid_prefix(text[:cut]))


@pytest.mark.parametrize("piece", ["(", "'", "\\", "\n ", "x=", "'''", " ", "0x", '"""\\', "x:\n", "((x"])
def test_hostile_texts_take_no_longer(piece):
    assert valid_prefix(piece * 50_000) <= len(piece) * 50_000


@pytest.mark.parametrize("module", ["prefix", "mutants", "grammar", "generate", "program_spec"])
def test_examples_in_docstrings_are_true(module):
    failed, tried = doctest.testmod(importlib.import_module(f"textmdp.envs.tasks.text_code.generator.{module}"))
    assert not failed
    assert tried
