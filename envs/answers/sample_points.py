r"""Points at which two expressions with names are compared; imported only inside the worker process.

Agreement at random points shows equality only where the points reach every piece of the expressions: ``5-x`` equals
``|x-5|`` below 5 alone, and ``\sqrt{x^2-100}`` is real only beyond 10. So points are drawn at several sizes and, for
each place where an expression may break (a zero of the argument of an absolute value, a root, a logarithm, a floor), on
both sides of it.
"""

import itertools
import random
from typing import Any

import mpmath  # type: ignore[import-untyped]
import sympy

SIZES = (1, 5, 30, 1_000, 100_000)
"""Largest absolute values of random coordinates."""
SIGNED = 4
"""Random points of each sign for the middle size; the others have one positive and one of random signs."""
MAX_BREAKS = 10
"""Breaks that are looked at for each name."""
MAX_INTEGERS = 14
"""Points of small integers."""
_BREAKING = (sympy.Abs, sympy.sign, sympy.Max, sympy.Min, sympy.floor, sympy.ceiling, sympy.log, sympy.Heaviside)
# Values of these at large points take longer than a question may.
_GROWING = (
    sympy.factorial,
    sympy.binomial,
    sympy.gamma,
    sympy.Sum,
    sympy.Product,
    sympy.RisingFactorial,
    sympy.fibonacci,
)

Point = dict[Any, Any]


def sample_points(expressions: tuple[Any, ...], seed: int = 0) -> tuple[list[Point], list[Point]]:
    """Draw points for all names of the expressions.

    Args:
        expressions: sympy expressions with at least one name
        seed: of the random numbers

    Returns:
        Rational points, then points of small integers, for names that count.
    """
    names = sorted(set().union(*(expression.free_symbols for expression in expressions)), key=str)
    draw = random.Random(seed)

    def rational(size: int, sign: int) -> Any:
        return sympy.Rational(sign * draw.randint(1, 1009 * size - 1), 1009)

    signs = (-1, 1)
    points = [{name: rational(5, sign) for name in names} for sign in (1, -1) for _ in range(SIGNED)]
    points += [{name: rational(5, draw.choice(signs)) for name in names} for _ in range(SIGNED)]
    growing = any(
        expression.has(*_GROWING) or any(power.exp.free_symbols for power in expression.atoms(sympy.Pow))
        for expression in expressions
    )
    for size in SIZES:
        if growing and size > 30:
            break
        points.append({name: rational(size, 1) for name in names})
        points.append({name: rational(size, draw.choice(signs)) for name in names})
    for name in names:
        others: Point = {other: rational(5, 1) for other in names if other != name}
        for place in breaks(expressions, name, others):
            # Close by and far from the break, on both sides.
            for distance in (sympy.Rational(draw.randint(1, 99), 1009), 1 + abs(place) * rational(1, 1)):
                points += [{**others, name: place - distance}, {**others, name: place + distance}]
    integers = [{name: sympy.Integer(draw.randint(1, 12)) for name in names} for _ in range(MAX_INTEGERS)]
    integers += [{name: sympy.Integer(value) for name in names} for value in (1, 2, 3, 4)]
    return points, integers


def breaks(expressions: tuple[Any, ...], name: Any, others: Point) -> list[Any]:
    """Rational numbers near which an expression may change its form in ``name``, the other names being fixed."""
    arguments: list[Any] = []
    for node in itertools.chain.from_iterable(map(sympy.preorder_traversal, expressions)):
        if isinstance(node, _BREAKING) or (node.is_Pow and node.exp.is_Rational and not node.exp.is_Integer):
            arguments += node.args[:1] if node.is_Pow else node.args
            if isinstance(node, sympy.Max | sympy.Min):
                arguments += [left - right for left, right in itertools.combinations(node.args, 2)]
    found: dict[Any, None] = {}
    for argument in arguments[:MAX_BREAKS]:
        bound = argument.subs(others)
        if name not in bound.free_symbols or not bound.is_polynomial(name):
            continue
        polynomial = sympy.Poly(bound, name)
        if polynomial.degree() > 4 or not all(value.is_real for value in polynomial.all_coeffs()):
            continue
        try:
            roots = polynomial.sqf_part().nroots(n=20)  # multiple roots would not converge
        except (sympy.polys.polyerrors.BasePolynomialError, mpmath.libmp.NoConvergence):
            continue
        for root in roots:
            if root.is_real and len(found) < MAX_BREAKS:
                found[sympy.Rational(str(root))] = None
    return list(found)
