r"""Is a response right? The answer checker for mathematics.

    >>> from textmdp.envs.answers import grade, equivalent
    >>> grade("72", "48 + 24 = 72 clips.\n#### 72").correct
    True
    >>> equivalent("0.5", r"$\frac{1}{2}$"), equivalent("(1, 2)", "[1, 2]")
    (True, False)

A response is judged in two steps: :func:`extract_answer` finds its one final answer, :func:`equivalent` compares that
with the reference (always the **first** argument). Numbers are compared exactly, as fractions, by the standard library.
Formulas are read by math-verify's grammar and compared with sympy in a process of their own, which can be killed
(``pip install "textmdp[math]"``; with ``symbolic=False``, what only algebra could tell is not equal).

Where the answer stands
-----------------------
``#### x``, ``\boxed{x}``, ``\fbox{x}``, ``Answer: x``, ``A: x``, "the (final) answer is x" anywhere behind the thinking
(``<think>..</think>``); without any of these the whole response, or the last number or formula of its last sentence.
Final answers that differ earn nothing, so spraying does not pay. Boxes next to each other are one list.

What is equal
-------------
- **Numbers**: ``1,000`` = ``1{,}000`` = ``10^3``; ``1/2`` = ``0.5`` = ``\frac12`` = ``2/4``; ``3 1/2`` = ``3.5``. There
  is no tolerance: ``0.333`` is not 1/3, ``3.14`` is not pi. One exception: a decimal of 15 significant digits and more
  is the printed form of a double, and stands for the non-decimal number that it rounds (``0.8660254037844386`` is
  ``\sqrt{3}/2``). A comma is a thousands mark or separates items; it is never a decimal point.
- **Units** and money are dropped (``\$36``, ``15\text{ cm}^2``, ``33 eggs``, ``30^\circ``); two common units that
  differ (cm, m) are not equal. **Percent**: ``10\%`` = ``10`` and = ``0.1``. Numbers in a base keep it: ``204_5``.
- **Equations**: ``x = 5`` and ``f(x) = 5`` name 5; in a chain the last side counts, a rounding behind ``\approx`` does
  not, and a chain of different numbers is wrong. Other equations are equal up to a constant factor; inequalities are
  equal when solved the same way, and to their interval: ``x \ge 5`` = ``[5, \infty)``.
- **Lists** without brackets and sets in braces: any order, every item exactly one partner, repeats count once;
  ``\pm`` makes two items. Tuples, intervals and matrices: in order, the brackets of pairs must agree. A tuple equals an
  unbracketed list in the same order. ``x = 1, y = 2`` equals ``1, 2`` in that order.
- **Words**: without case and punctuation; single letters keep their case. ``(A)`` = ``A``.
- **Formulas**: equal when they agree to 40 digits at random points where both are real. Nothing is rounded to zero:
  ``1/2004!`` is not ``1/2006!``. Names keep their case, ``i`` and ``e`` are the constants, ``\log`` is to base 10.

What it is not: a prover. A formula that sympy cannot evaluate in a second is not equal unless the text is the same, and
a value such as ``\sum`` over unknown terms is compared as a formula, not as mathematics.

Safety
------
Responses are hostile text: nothing is evaluated, all parsing is linear in time, numbers are bounded before they are
built, and algebra runs with limits on time (one second of processor time) and memory. The worker process starts at the
first formula (about a second), ends with its parent, and is never shared with a forked process.
"""

from textmdp.envs.answers.exact import is_number, parse_number
from textmdp.envs.answers.extraction import Extraction, extract_answer
from textmdp.envs.answers.grading import Verdict, equivalent, grade
from textmdp.envs.answers.symbolic import SymbolicUnavailableError, require_symbolic

__all__ = [
    "Extraction",
    "SymbolicUnavailableError",
    "Verdict",
    "equivalent",
    "extract_answer",
    "grade",
    "is_number",
    "parse_number",
    "require_symbolic",
]
