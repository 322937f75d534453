r"""The answer checker for mathematics: is a response right?

    >>> from textmdp.envs.answers import grade, equivalent
    >>> grade("72", "48 + 24 = 72 clips.\n#### 72").correct
    True
    >>> equivalent("0.5", r"$\frac{1}{2}$"), equivalent("(1, 2)", "[1, 2]")
    (True, False)

A response is judged in two steps: :func:`extract_answer` finds its one final answer, :func:`decide` compares that with
the reference (always the **first** argument). Numbers are compared exactly, as fractions, by the standard library.
Formulas are read by math-verify's grammar and compared with sympy in a process of their own, which can be killed
(``pip install "textmdp[math]"``; with ``symbolic=False``, answers that only algebra could compare are not equal).

A verdict is ``RIGHT``, ``WRONG`` or ``UNDECIDED``: the last where algebra ran out of processor time or memory, tried
once more with twice the time. It counts as not correct, and tasks show it as a metric.

The place of the answer
-----------------------
- **Reasoning** does not count: ``<think>..</think>`` and its like, ``<|begin_of_thought|>``, all channels but the
  final one. Reasoning that never ends leaves no answer.
- **Markers**: ``#### x``, ``\boxed{x}``, ``\fbox{x}``, ``<answer>x</answer>``, ``Answer: x``, ``A: x``, "the (final)
  answer is x", "x is the answer"; without any of these the whole response, or the last number or formula of its last
  sentence.
- **Final answers that differ earn nothing**, so spraying does not pay. Boxes next to each other are one list; "7/2 or
  3.5", alternatives that are equal, are one answer. A label that only mentions an answer ("a check of our answer: 27",
  "if the answer is 5") is no marker beside another.
- **A label has the expression right behind it**; reasons and circumstances are left out ("18 dollars, since she sells
  9 eggs at 2 dollars each"). In prose, a number that says more about the one before it is passed over: "24 apples in 3
  boxes" is 24.
- **Denials**: "not 5", "isn't 5", "anything but 5", "more than 5" do not answer 5, and neither does an answer that is
  taken back behind it ("wait, that is wrong").

Equality
--------
- **Numbers**: ``1,000`` = ``1{,}000`` = ``10^3``; ``1/2`` = ``0.5`` = ``\frac12`` = ``2/4`` = "one half"; ``3 1/2`` =
  ``3.5`` = "three and a half"; ``5\text{ million}``, "2 dozen". There is no tolerance: ``0.333`` is not 1/3, ``3.14``
  is not pi. One exception: a decimal of 15 significant digits and more is the printed form of a double, and stands for
  the non-decimal number that it rounds (``0.8660254037844386`` is ``\sqrt{3}/2``).
- **Repeating decimals**: ``0.\overline{3}`` = ``0.\dot{3}`` = ``0.(3)`` = ``0.333...``. Dots continue the shortest
  group of digits that stands at least twice at the end (a single digit three times), and nothing else: ``3.14159...``
  is no number.
- **Commas** are thousands marks or separate items, never decimal points. A reference ``1,000`` is one number;
  ``12,345`` is met by ``12, 345`` in this order, which differs by a careless blank, and by no other list.
- **Units** and money may be left out (``\$36``, ``15\text{ cm}^2``, ``33 eggs``, ``30^\circ``); where both sides have
  a common one they must agree (cm, m; square meters, square feet; dollars, cents), and nothing is converted, because a
  question that names a unit asks for it. "Pound" is a mass or money: the question says which.
- **Percent**: ``10\%`` = ``10`` and = ``0.1``. **Bases** are kept, ``204_5`` is not 204, because a reference with a
  base asks for it. A **modulus** may be left out: ``3 \pmod 7`` = ``3``; with one on both sides, residues are equal.
- **Equations**: ``x = 5`` and ``f(x) = 5`` name 5, and so does ``AB^2 = 25`` name 25 for a reference that is a plain
  value. Linear equations in one small letter (``2x = 10``) and those to zero name nothing: they are yet to be solved.
  Other equations are equal up to a constant factor; inequalities are equal when solved the same way, and to their
  interval: ``x \ge 5`` = ``[5, \infty)``; ``x > 1`` and ``x < 3`` is ``1 < x < 3``.
- **Chains**: the last side counts, a rounding behind ``\approx`` does not. A chain whose numbers differ (``x = 4 + 2 =
  5``) is wrong even where its last side is right: an answer that contradicts itself is no answer.
- **Lists** without brackets and sets in braces: any order, every item exactly one partner, repeats count once; ``\pm``
  makes two items. Tuples, intervals and matrices: in order, the brackets of pairs must agree. A tuple equals an
  unbracketed list in the same order, and the set that lists it alone, ``\{(1,2)\}``: references write the only
  solution of a system both ways. ``x = 1, y = 2`` equals ``1, 2`` in that order.
- **Sets of numbers**: ``\mathbb{R}`` = ``(-\infty, \infty)`` = "all real numbers"; ``\{x : x > 3\}`` is its condition;
  ``]0,1[`` = ``(0,1)``; "no solution" is the empty set.
- **Choices**: ``(A)`` = ``A`` = "option A" = ``A) red``; a choice with its content meets a reference that is either.
- **Words**: without case and punctuation; single letters keep their case.
- **Formulas**: equal when they agree to 40 digits at random points of several sizes, on both sides of every place
  where they may break, where both are real; constants are told apart by a thousand digits. Nothing is rounded to zero:
  ``1/2004!`` is not ``1/2006!``. Names keep their case, ``i`` and ``e`` are the constants, ``\log`` is to base 10.

It is not a prover. A formula that sympy cannot read or evaluate is not equal unless the text is the same, and a value
such as ``\sum`` over unknown terms is compared as a formula.

Safety
------
Responses are hostile text: nothing is evaluated, all parsing is linear in time, numbers are bounded before they are
built, and algebra runs with limits on processor time (half a second, then one) and memory. The worker process starts at
the first formula (about a second, no part of these limits), ends with its parent, and is never shared with a forked
process. Verdicts do not depend on the load of the machine: a clock ends only what does not compute at all.
"""

from textmdp.envs.answers.exact import is_number, parse_number
from textmdp.envs.answers.extraction import Extraction, extract_answer
from textmdp.envs.answers.grading import Outcome, Verdict, decide, equivalent, exactly_equivalent, grade
from textmdp.envs.answers.symbolic import SymbolicUnavailableError, require_symbolic

__all__ = [
    "Extraction",
    "Outcome",
    "SymbolicUnavailableError",
    "Verdict",
    "decide",
    "equivalent",
    "exactly_equivalent",
    "extract_answer",
    "grade",
    "is_number",
    "parse_number",
    "require_symbolic",
]
