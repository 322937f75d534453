"""Scalars compared with sympy; imported only inside the worker process.

math-verify's grammar (latex2sympy2_extended) reads the LaTeX; the comparison is ours, because math-verify's has an
absolute float tolerance (1/2004! equals 1/2006! there). Two expressions are equal when they agree to 40 significant
digits at every one of several random points, which for expressions of this size is as good as a proof, and a rewriting
rule can neither miss an identity nor invent one.
"""

import re
from fractions import Fraction
from typing import Any

import sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig, latex2sympy  # type: ignore[import-untyped]

from textmdp.envs.answers.exact import parse_quantity, within_last_digit
from textmdp.envs.answers.sample_points import sample_points

DIGITS = 60
"""Working precision of the numeric comparison."""
NEEDED = 3
"""Points with two real values, at least, for a verdict of equality."""
_TOLERANCE = sympy.Float(10, DIGITS) ** -40
_READ = ConversionConfig(lowercase_symbols=False)
_ANGLE = re.compile(r"(\d+(?:\.\d+)?)\s?\^\{\\circ\}")
_DECIMAL_LOG = re.compile(r"\\lg(?![a-zA-Z])")
_NATURAL_LOG = re.compile(r"\\log\s?_\s?(?:e(?![a-zA-Z])|\{\s?e\s?\})")
_DOUBLE_FACTORIAL = re.compile(r"(?<![\d.])(\d{1,3})\s?!!(?!!)")
# A digit behind a name ("x2"), two numbers side by side ("7 5", which the grammar adds up), and decimals with two
# points mean nothing.
_NONSENSE = re.compile(r"(?<![a-zA-Z\\_^])[a-zA-Z]\d|\d\s+\.?\d|\.\d+\.\d|'|\\text|\\begin\{(?:array|[bpvBV]?matrix)")


def read(text: str) -> Any:
    """Parse one cleaned scalar into a sympy expression; raises ValueError on other text."""
    text = re.sub(r"([_^])\s?(\w)(?=\s)", r"\1{\2}", text)  # in \log_2 8 the 2 ends the subscript
    if _NONSENSE.search(text):
        raise ValueError("not a scalar")
    text = _DECIMAL_LOG.sub(r"\\log_{10} ", text)
    text = _NATURAL_LOG.sub(r"\\ln ", text)
    text = _DOUBLE_FACTORIAL.sub(lambda match: f"({sympy.factorial2(int(match[1]))})", text)
    text = _ANGLE.sub(r"\\frac{\1\\pi}{180}", text).replace(r"\ ", " ")
    expression = latex2sympy(
        text, is_real=True, convert_degrees=False, conversion_config=_READ, normalization_config=None
    )
    if not isinstance(expression, sympy.Expr):
        raise ValueError("not a scalar")
    constants = {}
    for symbol in expression.free_symbols:
        if symbol.name == "i":
            constants[symbol] = sympy.I
        elif symbol.name == "e":
            constants[symbol] = sympy.E
    if constants:
        expression = expression.subs(constants)
    # A decimal is the fraction that it is written as.
    floats = {number: sympy.Rational(str(number)) for number in expression.atoms(sympy.Float)}
    return expression.xreplace(floats).doit()


def value_at(expression: Any, point: dict[Any, Any]) -> Any:
    """Value at a point to ``DIGITS`` digits; None where it is not a finite number, or where no digit is certain."""
    value = expression.subs(point) if point else expression
    if value.is_Rational:
        return value
    value = value.evalf(DIGITS, maxn=400)
    real, imaginary = value.as_real_imag()
    if not (real.is_number and imaginary.is_number and real.is_finite and imaginary.is_finite):
        return None
    if not all(part.is_Float or part.is_Rational for part in (real, imaginary)):
        return None
    return real + sympy.I * imaginary


def near(first: Any, second: Any) -> bool:
    """Relative agreement to 40 digits; a part without any certain digit is zero."""
    if first.is_Rational and second.is_Rational:
        return bool(first == second)
    difference, scale = sympy.Abs(first - second).evalf(DIGITS), max(sympy.Abs(first), sympy.Abs(second)).evalf(DIGITS)
    if scale == 0 or getattr(scale, "_prec", DIGITS) == 1:
        return True
    return bool(difference <= scale * _TOLERANCE)


def agree(kind: str, first: Any, second: Any) -> bool | None:
    """Compare two expressions at the points of :func:`~textmdp.envs.answers.sample_points.sample_points`.

    Args:
        kind: ``"equal"``, ``"multiple"`` or ``"positive"``, as in :mod:`textmdp.envs.answers.structure`
        first: sympy expression
        second: sympy expression

    Returns:
        The verdict, or None where too few points gave two finite values.
    """
    if first == second:
        return not first.has(sympy.nan, sympy.zoo)
    if first.has(sympy.oo, sympy.nan, sympy.zoo) or second.has(sympy.oo, sympy.nan, sympy.zoo):
        return False
    functions = first.atoms(sympy.core.function.AppliedUndef) | second.atoms(sympy.core.function.AppliedUndef)
    if functions:  # an unknown f(x) is a name of its own
        names = {function: sympy.Symbol(f"undefined_{i}") for i, function in enumerate(sorted(functions, key=str))}
        first, second = first.subs(names), second.subs(names)
    if not first.free_symbols and not second.free_symbols:
        return agree_at(kind, first, second, [{}], complex_values=True, needed=1)
    reals, integers = sample_points((first, second))
    # Roots of negative numbers have branches: with names, real values count. Where there are too few, as in (-1)^n, the
    # names may stand for integers; where there are none at all, as in \sqrt{-x^2-1}, principal values are compared.
    verdict = agree_at(kind, first, second, reals, complex_values=False, needed=NEEDED)
    if verdict is None:
        verdict = agree_at(kind, first, second, integers, complex_values=False, needed=NEEDED)
    if verdict is None:
        verdict = agree_at(kind, first, second, reals, complex_values=True, needed=len(reals) // 2)
    return verdict


def agree_at(
    kind: str, first: Any, second: Any, places: list[dict[Any, Any]], *, complex_values: bool, needed: int
) -> bool | None:
    """Compare at the given points; None where fewer than ``needed`` of them gave two values."""
    ratio, checked = None, 0
    for point in places:
        left, right = value_at(first, point), value_at(second, point)
        if left is None or right is None:
            continue
        if not complex_values and not (left.is_real and right.is_real):
            continue
        checked += 1
        if kind == "equal":
            if not near(left, right):
                return False
            if checked == 1:  # of expressions with names, gamma functions among them, fewer digits
                digits = 150 if point else 1000
                if distinguishable(first.subs(point), second.subs(point), digits):
                    return False
        elif left == 0 or right == 0:
            if (left == 0) != (right == 0):
                return False
        else:
            ratio = ratio if ratio is not None else (left / right)
            if not near(left / right, ratio) or (kind == "positive" and not ratio > 0):
                return False
    return True if checked >= needed else None


def distinguishable(first: Any, second: Any, digits: int) -> bool:
    """Return True if the difference of two constants has a certain digit: ``sin(1e-30)`` is not ``1e-30``.

    Args:
        first: sympy expression without names
        second: sympy expression without names
        digits: working precision up to which one is looked for
    """
    difference = first - second
    if difference.is_Rational:
        return difference != 0
    parts = difference.evalf(2, maxn=digits).as_real_imag()
    return any(part.is_Float and part != 0 and getattr(part, "_prec", 1) > 1 for part in parts)


def leaf(kind: str, gold: str, answer: str) -> bool | None:
    """The ``Leaf`` of the worker; None for texts that cannot be read or evaluated."""
    try:
        double, other = parse_quantity(gold), parse_quantity(answer)
        if kind == "equal" and (double is None) != (other is None):
            quantity, text = (double, answer) if double is not None else (other, gold)
            if quantity is not None and quantity.precision >= 15:
                value = value_at(read(text), {})
                # A printed double stands for the irrational number that it rounds.
                return value is not None and bool(value.is_real) and within_last_digit(quantity, Fraction(str(value)))
        return agree(kind, read(gold), read(answer))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # the grammar raises bare Exception; RecursionError and MemoryError are answers too
        return None
