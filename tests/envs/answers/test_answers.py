"""Equality of answers, their places in responses, labelled pairs of other graders, and GSM8K."""

import json
import re
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import SHARED

from textmdp.envs.answers import (
    equivalent,
    exactly_equivalent,
    extract_answer,
    grade,
    is_number,
    parse_number,
    require_symbolic,
    symbolic,
)

FAULTS = SHARED / "faults" / "answers.jsonl"
PAIRS = SHARED / "data" / "math_equivalence" / "pairs.jsonl"
GSM8K = SHARED / "data" / "gsm8k"

EQUAL = [  # gold, answer, why
    ("1000", "1,000", "thousands comma"),
    ("1000", r"1{,}000", "thousands comma in LaTeX"),
    ("1000", r"1\,000", "thin space"),
    ("11111111100", r"11,\! 111,\! 111,\! 100", "comma with negative space"),
    ("0.5", ".5", "no leading zero"),
    ("5", "5.0", "trailing zero"),
    ("5", "5.", "full stop"),
    ("3/4", r"\frac34", "fraction without braces"),
    ("1/2", r"\dfrac{2}{4}", "unreduced fraction"),
    (r"3\frac{1}{2}", "3 1/2", "mixed number"),
    ("0.001", r"10^{-3}", "power of ten"),
    ("1500", r"1.5 \times 10^{3}", "scientific notation"),
    ("-3", "\u22123", "unicode minus"),
    ("1/3", r"0.\overline{3}", "repeating decimal"),
    (r"\$36", "36 dollars", "money"),
    (r"15\mbox{ cm}^2", "15", "unit dropped"),
    (r"25\pi", r"25\pi \text{ cm}^2", "unit behind a formula"),
    (r"25\pi", r"$25\pi$ square units", "unit in words behind a formula"),
    ("2000000", "2 million", "scale in words"),
    (r"28\%", "28 percent", "percent in words"),
    (r"10\%", "10", "percent as a unit"),
    (r"10\%", "0.1", "percent as a division"),
    ("5", "x = 5", "named value"),
    ("f(x) = 2x + 3", "2x+3", "named formula"),
    ("1,2", "2 and 1", "list in any order"),
    (r"\{1,2\}", r"\left\{2, 1\right\}", "set"),
    ("(1, 4.5)", r"\left(1, \frac92\right)", "tuple"),
    (r"\pm 3", "3, -3", "plus and minus"),
    ("x = 1, y = 2", "1, 2", "names give the order"),
    ("x=1, y=2", "y=2, x=1", "names in any order"),
    (r"[5, \infty)", r"x \ge 5", "interval of a relation"),
    (r"x < 1", "-x > -1", "inequality turned"),
    (r"x<-1 \text{ or } x>3", r"(-\infty,-1)\cup(3,\infty)", "union"),
    ("x - y = 3", "2x - 2y = 6", "multiple of an equation"),
    (r"\begin{pmatrix}1\\1/2\end{pmatrix}", r"\begin{bmatrix}1\\0.5\end{bmatrix}", "matrix"),
    (r"\text{odd}", "Odd.", "word"),
    ("A", r"\textbf{(A)}", "choice"),
    (r"2\sqrt{3}", r"\sqrt{12}", "root"),
    (r"\tan^2 y + 1", r"\sec^2 y", "identity"),
    (r"\sin(90^\circ - x)", r"\cos x", "degrees"),
    ("1+2i", "i(2-i)", "complex number"),
    (r"\frac{\sqrt{3}}{2}", "0.8660254037844386", "printed double"),
    (r"\frac{1}{12}", "0.0833333333333333", "printed double of a fraction"),
]
DIFFERENT = [
    ("1/3", "0.3333", "no tolerance"),
    (r"\pi", "3.14159", "no tolerance"),
    ("0.1", "0.10000000000000001", "two decimals are compared exactly"),
    ("9007199254740993", "9007199254740992.0", "no float in between"),
    (r"\frac{1}{2004!}", r"\frac{1}{2006!}", "tiny numbers keep their digits"),
    ("0", "10^{-2000}", "tiny is not zero"),
    ("e^{-1000}", "0", "tiny is not zero"),
    (r"1-\frac{1}{\mathrm{e}}", r"1+\frac{1}{\mathrm{e}}", "sign"),
    ("1728", "1331 and 1728", "one of several"),
    (r"1,2,\ldots,n", r"1,3,\ldots,2n-1", "dots stand for different terms"),
    ("4", r"4\sqrt(2)", "not only the first number"),
    ("72", "7 2", "two numbers"),
    ("72", "7\x002", "two numbers"),
    ("123", "1,2,3", "list"),
    ("(1,2)", "[1,2]", "closed interval"),
    ("(1,2)", "(2,1)", "order"),
    ("x=1, y=2", "2, 1", "order of names"),
    ("x > 3", r"x \ge 3", "strictness"),
    ("x > 3", "x < 3", "direction"),
    ("5", "5 = 6", "chain of different numbers"),
    ("5", "5i", "imaginary"),
    ("x", r"\sqrt{x^2}", "sign of x"),
    ("f", "f'", "derivative"),
    ("R", "r", "case of a name"),
    (r"\text{odd}", "ddo", "words are no products"),
    (r"\sin x = 1/2", r"\cos x = 1/2", "functions are no names"),
    ("204_5", "204_6", "base"),
    (r"5\text{ cm}", "5 m", "unit"),
    ("12:00", "1:00", "time of day"),
    ("2^{100}", "2^{100}+1", "large integers are exact"),
    ("1e400", "1e401", "large powers are exact"),
    ("5", "", "nothing"),
    ("", "", "nothing"),
    ("7", r"\frac{7}{0}", "division by zero"),
]
RIGHT = [  # gold, response, reason
    ("72", "72", "whole"),
    ("72", "#### 72", "hash"),
    ("72", "#### $72.", "hash"),
    ("72", "She sold 48 + 24 = <<48+24=72>>72.\n#### 72 clips", "hash"),
    ("72", r"so \boxed{72}.", "boxed"),
    ("72", r"so \fbox{72}", "boxed"),
    ("72", r"so $\boxed 72$", "boxed"),
    (r"\frac{1}{2}", r"$x = \boxed{\frac{1}{2}}$", "boxed"),
    ("72", "Answer: 72", "label"),
    ("72", "**Answer:** 72", "label"),
    ("72", "A: 72", "label"),
    ("9", "Answer \\[ \n 9 \n \\]", "label"),
    ("72", "The final answer is $72$. I hope it is correct.", "label"),
    (r"\text{odd}", "The answer is odd.", "label"),
    ("9500", r"The answer is $9{,}500.", "label"),
    ("72", "The total is 72 clips, altogether.", "prose"),
    ("(7,6)", "The pair $(x, y)$ that solves it is $(7, 6)$.", "prose"),
    ("2/3", "Therefore, the probability is 2/3. <|im_end|>", "prose"),
    ("72", "<think>maybe \\boxed{71}</think>\n#### 72", "hash"),
    ("72", r"The answer is 72. So \boxed{72}.", "boxed"),
    ("1,2", r"\boxed{1} and \boxed{2}", "boxed"),
    ("72", "#### Step 1\nAdd them.\n\\boxed{72}", "boxed"),
]
WRONG = [
    ("2", "#### 1\n#### 2", "two answers"),
    ("1", "#### 1 #### 2", "two answers on a line"),
    ("2", r"\boxed{1} no, rather \boxed{2}", "two boxes"),
    ("2", "#### 1\n\\boxed{2}", "two kinds of marker"),
    ("2", "Answer: 1\n\\boxed{2}", "two kinds of marker"),
    ("7", "The answer is 5. No wait, the answer is 7.", "two labels"),
    ("2", r"\boxed{1}, \boxed{2}", "a list is not its item"),
    ("7", "It is 5, 6 or 7", "a list is not its item"),
    ("6", "The answer is 5 or maybe 6", "a list is not its item"),
    ("7", "5\n6\n7", "bare lines"),
    ("2", "".join(f"#### {i}\n" for i in range(100)), "all of them"),
    ("2", r"<think>\boxed{2}", "thinking never ended"),
    ("2", r"<think>\boxed{2}</think> \boxed{3}", "only the end counts"),
    ("2", r"\boxed{2", "unclosed"),
    ("2", r"\boxed{}", "empty box"),
    ("2", "The answer is not 2", "denied"),
    ("2", "1 2", "two numbers"),
    ("2", "", "nothing"),
    ("2", "I do not know", "nothing"),
]


@pytest.mark.parametrize(("gold", "answer", "why"), EQUAL)
def test_equal(gold, answer, why):
    assert equivalent(gold, answer), why


@pytest.mark.parametrize(("gold", "answer", "why"), DIFFERENT)
def test_different(gold, answer, why):
    assert not equivalent(gold, answer), why


@pytest.mark.parametrize(("gold", "response", "reason"), RIGHT)
def test_right(gold, response, reason):
    verdict = grade(gold, response)
    assert verdict.correct
    assert verdict.reason == reason


@pytest.mark.parametrize(("gold", "response", "why"), WRONG)
def test_wrong(gold, response, why):
    assert not grade(gold, response).correct, why


def test_every_reference_answers_itself():
    for gold, _, _ in EQUAL:
        assert grade(gold, f"So we get\n#### {gold}").correct, gold
        assert grade(gold, rf"So we get $\boxed{{{gold}}}$.").correct, gold


def test_extraction_names_the_place():
    assert extract_answer("so\n#### 7", exactly_equivalent) == ("7", "hash", 3)
    assert extract_answer("#### 1 #### 2", exactly_equivalent) == (None, "conflict", 7)
    assert extract_answer("", exactly_equivalent)[:2] == (None, "none")


def test_parse_number():
    assert parse_number("1,000.50") == Fraction(2001, 2)
    assert parse_number("12%") == Fraction(3, 25)
    assert parse_number("1/0") is None
    assert parse_number("sqrt(2)") is None
    assert is_number("-1 1/2")
    assert not is_number("5 or 6")
    assert not is_number("5x")


def _formats(value: Fraction) -> list[str]:
    sign, top, under = "-" if value < 0 else "", abs(value.numerator), value.denominator
    whole, rest = divmod(top, under)
    forms = [
        f"{sign}{top}/{under}",
        rf"{sign}\frac{{{top}}}{{{under}}}",
        rf"$\dfrac{{{sign}{3 * top}}}{{{3 * under}}}$",
    ]
    forms += [rf"x = {sign}\tfrac{{{top}}}{{{under}}}", rf"\({sign}\frac{{{top}}}{{{under}}}\)."]
    if rest and whole:
        forms += [f"{sign}{whole} {rest}/{under}", rf"{sign}{whole}\frac{{{rest}}}{{{under}}}"]
    if under == 1:
        forms += [f"{sign}{top}", f"{sign}{top:,}", f"{sign}{top}.00", rf"{sign}\${top:,}", f"{sign}{top} eggs"]
        forms += [f"{sign}{top:,}".replace(",", "{,}")]
    if re.fullmatch("1(0*)", str(under)) and top < 10**20:  # what Decimal divides exactly
        decimal = Decimal(value.numerator) / Decimal(under)
        forms += [format(decimal, "f"), format(decimal, "e"), f"{decimal:f}{'0' if under > 1 else '.0'}"]
    return forms


_FRACTIONS = st.one_of(
    st.fractions(max_denominator=1000),
    st.integers(-(10**25), 10**25).map(Fraction),
    st.builds(lambda n, k: Fraction(n, 10**k), st.integers(-(10**9), 10**9), st.integers(0, 6)),
)


@settings(max_examples=150, deadline=None)
@given(_FRACTIONS)
def test_every_format_of_a_fraction_is_equal(value):
    forms = _formats(value)
    for form in forms:
        assert equivalent(forms[0], form, symbolic=False), form
        assert grade(forms[0], f"So\n#### {form}", symbolic=False).correct, form


@settings(max_examples=150, deadline=None)
@given(_FRACTIONS, _FRACTIONS)
def test_different_fractions_are_not_equal(first, second):
    other = second if second != first else second + 1
    for gold, answer in zip(_formats(first), _formats(other), strict=False):
        assert not equivalent(gold, answer), (gold, answer)


def test_without_the_extra_the_fix_is_named(monkeypatch):
    require_symbolic()
    monkeypatch.setattr(symbolic.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "textmdp\[math\]"'):
        require_symbolic()
    monkeypatch.setattr("textmdp.envs.answers.grading.WORKER", symbolic.Worker())
    with pytest.raises(ImportError, match=r'pip install "textmdp\[math\]"'):
        equivalent(r"\sqrt{5}", r"\sqrt{25/5}")
    assert not equivalent(r"\sqrt{5}", r"\sqrt{25/5}", symbolic=False)
    assert grade("72", "#### 72.0").correct  # numbers need no algebra


def test_import_is_light():
    code = "import sys, textmdp.envs.answers; sys.exit(bool({'sympy', 'math_verify', 'antlr4'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- Labelled pairs of public graders ------------------------------------------------------------


@pytest.mark.skipif(not PAIRS.exists(), reason="the labelled pairs are not part of the repository")
def test_labelled_pairs():
    counts: dict[tuple[str, bool], list[bool]] = {}
    for line in PAIRS.read_text().splitlines():
        row = json.loads(line)
        gold = row["gold"][0] if isinstance(row["gold"], list) else row["gold"]
        counts.setdefault((row["kind"], row["expected"]), []).append(grade(gold, row["prediction"]).correct)
    rates = {key: sum(verdicts) / len(verdicts) for key, verdicts in counts.items()}
    assert rates["core", False] == 0
    assert rates["extract", False] == 0
    assert rates["core", True] >= 0.98
    assert rates["extract", True] >= 0.98


@pytest.mark.skipif(not FAULTS.exists(), reason="../shared/faults/answers.jsonl is not part of the repository")
def test_reported_and_adversarial_pairs():
    pytest.importorskip("math_verify")
    rows = [json.loads(line) for line in FAULTS.read_text().splitlines()]
    wrong = [
        (row["gold"], row["prediction"], row["expected"])
        for row in rows
        if grade(row["gold"], row["prediction"]).correct != row["expected"]
    ]
    assert len(rows) > 400
    assert wrong == []


@pytest.mark.skipif(not GSM8K.exists(), reason="GSM8K is not part of the repository")
def test_gsm8k_references_answer_themselves_and_neighbours_do_not():
    for path in sorted(GSM8K.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            solution = json.loads(line)["answer"]
            gold = solution.rpartition("#### ")[2].strip()
            assert grade(gold, solution).correct, solution
            assert grade(solution, f"#### {gold}").correct
            number = int(gold.replace(",", ""))
            neighbours = {number + 1, number - 1, number * 10, -number} - {number}
            for wrong in [*map(str, neighbours), f"{number}.5", f"{number}1/7"]:
                assert not grade(gold, f"#### {wrong}").correct, wrong
