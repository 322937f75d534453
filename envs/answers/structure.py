r"""Equality of answers by their form: lists, tuples, sets, intervals, equations, inequalities, matrices, ratios, words.

:func:`compare` takes the two texts apart until only scalars are left. Scalars that it cannot decide exactly go to a
``leaf``: in the parent process a function that answers None ("not known"), in the worker one that uses sympy. So every
verdict is True, False or None, and both processes follow the same rules.
"""

import re
from collections.abc import Callable

from textmdp.envs.answers.choices import read_choice
from textmdp.envs.answers.equations import compare_equations, read_equation, sides
from textmdp.envs.answers.exact import parse_quantity, same_quantity
from textmdp.envs.answers.forms import THOUSANDS, bracketed, is_text, items, matrix_rows, text_of
from textmdp.envs.answers.matching import Same, match_any_order, match_in_order
from textmdp.envs.answers.notation import split_top, squash
from textmdp.envs.answers.sets import EMPTY, as_interval, canonical_set, conjunction, relation_parts
from textmdp.envs.answers.units import same_unit, split_unit

Leaf = Callable[[str, str, str], bool | None]
"""``leaf(kind, gold, answer)``; kind is ``"equal"``, ``"multiple"`` (nonzero constant times) or ``"positive"``
(positive constant times): the last two compare equations and inequalities brought to ``... = 0``."""

STEPS = 5_000
"""Comparisons within one verdict: sets of sets in another order would else cost the square of their size, level by
level. Answers not decided by then are not equal."""


class Judge:
    """Decides scalars, and counts the work."""

    def __init__(self, leaf: Leaf) -> None:
        self.leaf = leaf
        self.steps = STEPS


_BASED = re.compile(r"(\w+)_\{?(\d+)\}?")
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]+")
_MINUTES = re.compile(r"0\d")
_RESIDUE = re.compile(r"(.+?)[\s,]*\(?\s?(?:\\(?:p|b)?mod|mod|modulo)(?![a-zA-Z])\s?\{?\s?(\d{1,40})\s?\}?\s?\)?")
_MIXED_LIST = re.compile(
    r"(-?\d{1,15}) and (\d{1,15})\s?/\s?(\d{1,15})|(-?\d{1,15}) and (\\frac\{\d{1,15}\}\{\d{1,15}\})"
)


def compare(gold: str, answer: str, judge: Judge, depth: int = 0) -> bool | None:
    """Compare two cleaned texts.

    Args:
        gold: the reference, cleaned
        answer: the answer to judge, cleaned
        judge: decides scalars that are not both exact numbers
        depth: levels of nesting so far

    Returns:
        True, False, or None where only the leaf could tell and it did not.
    """
    judge.steps -= 1 + (len(gold) + len(answer)) // 100
    flat_gold, flat_answer = squash(gold), squash(answer)
    if not flat_gold or not flat_answer or depth > 10 or judge.steps < 0:
        return False
    if flat_gold == flat_answer:
        return True
    number, other = parse_quantity(gold), parse_quantity(answer)
    if number is not None and other is not None:
        return same_quantity(number, other)
    if number is not None and (mixed := _MIXED_LIST.fullmatch(answer)):  # "3 and 1/2" against one number
        other = parse_quantity(f"{mixed[1]} {mixed[2]}/{mixed[3]}" if mixed[1] else f"{mixed[4]}{mixed[5]}")
        return other is not None and same_quantity(number, other)
    if depth == 0 and (verdict := compare_choices(gold, answer, judge)) is not None:
        return verdict

    def same(left: str, right: str) -> bool | None:
        return compare(left, right, judge, depth + 1)

    (body, unit), (other_body, other_unit) = split_unit(gold), split_unit(answer)
    if not same_unit(unit, other_unit):
        return False
    if (body, other_body) != (gold, answer):
        return same(body, other_body)
    residue, other_residue = _RESIDUE.fullmatch(gold), _RESIDUE.fullmatch(answer)
    if residue or other_residue:
        return compare_residues(gold, answer, residue, other_residue, same)
    sets = canonical_set(gold), canonical_set(answer)
    if sets != (gold, answer):
        return same(*sets)
    if is_text(gold) or is_text(answer):
        return compare_text(gold, answer, same)
    if len(items(gold)) > 1 or len(items(answer)) > 1:
        return compare_lists(gold, answer, same)
    return compare_single(gold, answer, judge, same)


def compare_single(gold: str, answer: str, judge: Judge, same: Same) -> bool | None:
    """Compare two texts without commas on the outside: relations first, then brackets, then the scalar."""
    if relation_parts(gold) or relation_parts(answer):
        return compare_relations(gold, answer, judge, same)
    if len(sides(gold)) > 1 or len(sides(answer)) > 1:
        return compare_equations(gold, answer, same, judge.leaf)
    if r"\cup" in gold or r"\cup" in answer:
        pieces, others = ([part for part, _ in split_top(text, frozenset({r"\cup"}))] for text in (gold, answer))
        if len(pieces) > 1 or len(others) > 1:
            return match_any_order(pieces, others, same)
    rows, other_rows = matrix_rows(gold), matrix_rows(answer)
    if rows is not None and other_rows is not None:
        same_shape = [len(row) for row in rows] == [len(row) for row in other_rows]
        cells, other_cells = ([cell for row in side for cell in row] for side in (rows, other_rows))
        return same_shape and match_in_order(cells, other_cells, same)
    bracket, other_bracket = bracketed(gold), bracketed(answer)
    if bracket is not None and other_bracket is not None:
        return compare_brackets(bracket, other_bracket, same)
    if (bracket is None) != (other_bracket is None):
        kind, inside = bracket or other_bracket or ("", [])
        if len(inside) > 1:
            return False  # a tuple is never a scalar
        if kind in ("()", "{}", r"\{\}") and inside != [EMPTY]:  # (5) or {5} against 5
            return same(inside[0] if bracket else gold, answer if bracket else inside[0])
    ratio, other_ratio = ([part for part, _ in split_top(text, frozenset({":"}))] for text in (gold, answer))
    if len(ratio) > 1 or len(other_ratio) > 1:
        if any(_MINUTES.match(part) for part in ratio[1:] + other_ratio[1:]):  # 9:05 is a time, not a ratio
            return [part.lstrip("0") for part in ratio[:1]] + ratio[1:] == [
                part.lstrip("0") for part in other_ratio[:1]
            ] + other_ratio[1:]
        return match_in_order(ratio, other_ratio, same)
    based, other_based = _BASED.fullmatch(squash(gold)), _BASED.fullmatch(squash(answer))
    if based or other_based:
        if based and other_based and based[1].isalnum() and other_based[1].isalnum():
            hexadecimal = based[2] == "16" and all(_HEXADECIMAL.fullmatch(match[1]) for match in (based, other_based))
            if hexadecimal or based[1][0].isdigit() or other_based[1][0].isdigit():
                digits, other_digits = (match[1].lstrip("0").lower() for match in (based, other_based))
                return based[2] == other_based[2] and digits == other_digits
        elif (based or other_based)[1].isdigit():  # type: ignore[index]
            return False  # 204_5 against a number without its base
    if r"\ldots" in gold or r"\ldots" in answer:
        return False  # not the same text, and the terms behind the dots are not known
    return judge.leaf("equal", gold, answer)


def compare_choices(gold: str, answer: str, judge: Judge) -> bool | None:
    """Compare where at least one side is a choice with its letter; None where that decides nothing."""
    choice, other = read_choice(gold), read_choice(answer)
    if choice is not None and other is not None:
        if choice.letter != other.letter:
            return False
        if not choice.content or not other.content:
            return True
        return compare(choice.content, other.content, judge, 1)
    if choice is not None and choice.content:
        return compare(choice.content, answer, judge, 1)
    if other is not None and other.content:
        return compare(gold, other.content, judge, 1)
    return None


def compare_residues(
    gold: str, answer: str, residue: re.Match[str] | None, other: re.Match[str] | None, same: Same
) -> bool | None:
    r"""Compare where at least one side is ``a \pmod m``: the modulus may be left out, but must not differ."""
    value, other_value = (residue[1] if residue else gold), (other[1] if other else answer)
    if residue is None or other is None:
        return same(value, other_value)
    if int(residue[2]) != int(other[2]):
        return False
    numbers = [parse_quantity(read_equation(text).value) for text in (value, other_value)]
    if all(number is not None and number.value.denominator == 1 for number in numbers) and int(residue[2]) > 0:
        first, second = (int(number.value) for number in numbers if number is not None)
        return (first - second) % int(residue[2]) == 0
    return same(value, other_value)


def compare_text(gold: str, answer: str, same: Same) -> bool | None:
    """Words are equal as words; a named text is its value."""
    if text_of(gold) == text_of(answer):
        return bool(text_of(gold))
    pieces, others = items(gold), items(answer)
    if len(pieces) > 1 or len(others) > 1:
        return match_any_order(pieces, others, same) if len(pieces) == len(others) else False
    if (len(sides(gold)) > 1) != (len(sides(answer)) > 1):
        value, other_value = read_equation(gold).value, read_equation(answer).value
        if (value, other_value) != (gold, answer):
            return same(value, other_value)
    return False


# --- Lists ------------------------------------------------------------------------------------------------------------


def compare_lists(gold: str, answer: str, same: Same) -> bool | None:
    """At least one side is a list without brackets."""
    gold, answer = (_joined(text) for text in (gold, answer))
    pieces, others = items(gold), items(answer)
    if len(pieces) == 1 and len(others) == 1:
        return same(gold, answer)
    if len(pieces) == 1 or len(others) == 1:
        return _compare_with_list(gold, answer, pieces, others, same)
    if any(r"\ldots" in piece for piece in pieces + others):
        return match_in_order(pieces, others, same)
    (names, values), (other_names, other_values) = (
        ([read_equation(piece).name for piece in side], [read_equation(piece).value for piece in side])
        for side in (pieces, others)
    )
    distinct = len(set(names) - {""}) > 1
    other_distinct = len(set(other_names) - {""}) > 1
    if distinct != other_distinct and not (any(other_names) if distinct else any(names)):
        # "x = 1, y = 2" against "1, 2": the names give the order.
        return match_in_order(values, other_values, same)
    return match_any_order(pieces, others, same)


def _joined(text: str) -> str:
    """``x > -1 and x < 3`` as one relation; other text as it is."""
    return text if re.search(r"(?<![a-zA-Z])or(?![a-zA-Z])", text) else conjunction(items(text)) or text


def _compare_with_list(gold: str, answer: str, pieces: list[str], others: list[str], same: Same) -> bool | None:
    """One side is a list without brackets, the other is not."""
    single, many = (pieces[0], others) if len(pieces) == 1 else (others[0], pieces)
    if THOUSANDS.fullmatch(single):  # "100,200" may be meant as a list after all, but "1,000" is none
        split = single.split(",")
        if any(len(item) > 1 and item.startswith("0") for item in split):
            return False
        # A reference that is most likely a number is not met by its groups in another order.
        return match_in_order(split, many, same) if len(pieces) == 1 else match_any_order(many, split, same)
    if len(sides(single)) == 2:
        value = read_equation(single).value
        if len(items(value)) > 1 or bracketed(value) is not None:
            return same(value if len(pieces) == 1 else gold, answer if len(pieces) == 1 else value)
    if r"\cup" in single:  # "x < -1 or x > 3" against a union of intervals
        union = [part for part, _ in split_top(single, frozenset({r"\cup"}))]
        intervals = [as_interval(relation_parts(part)) or part for part in many]
        return match_any_order(union, intervals, same) if len(pieces) == 1 else match_any_order(intervals, union, same)
    bracket = bracketed(single)
    if bracket is None or bracket[0] not in ("()", "{}", r"\{\}", r"\langle\rangle"):
        return False
    inside = [piece for part in bracket[1] for piece in items(part)]
    match = match_in_order if bracket[0] in ("()", r"\langle\rangle") else match_any_order
    return match(inside, many, same) if len(pieces) == 1 else match(many, inside, same)


# --- Brackets ---------------------------------------------------------------------------------------------------------


def compare_brackets(gold: tuple[str, list[str]], answer: tuple[str, list[str]], same: Same) -> bool | None:
    """Tuples, intervals and sets. Brackets must agree, except that a tuple may be listed in braces, in its order."""
    (kind, inside), (other_kind, other_inside) = gold, answer
    braces, tuples = ("{}", r"\{\}"), ("()", r"\langle\rangle")
    if kind in braces and other_kind in braces:
        members, other_members = ([item for part in side for item in items(part)] for side in (inside, other_inside))
        return match_any_order(members, other_members, same)
    if len(inside) == len(other_inside) == 1 and kind in (*tuples, *braces, "[]"):
        return same(inside[0], other_inside[0])
    # A set of one tuple is that tuple: "\{(1,2)\}" lists the only solution.
    for outer, members, whole in ((kind, inside, answer), (other_kind, other_inside, gold)):
        if outer in braces and len(members) == 1 and len(whole[1]) > 1 and whole[0] in tuples:
            inner = bracketed(members[0])
            if inner is None:
                return False
            return compare_brackets(*((inner, whole) if whole is answer else (whole, inner)), same)
    # Two items in [..], (..] or [..) are the ends of an interval; three and more are only a way to write a tuple.
    loose = len(inside) > 2 and {kind, other_kind} <= {"[]", *tuples}
    if kind == other_kind or loose or {kind, other_kind} <= {*tuples, *braces}:
        return match_in_order(inside, other_inside, same)
    return False


# --- Inequalities -----------------------------------------------------------------------------------------------------


def compare_relations(gold: str, answer: str, judge: Judge, same: Same) -> bool | None:
    """At least one side is an inequality."""
    relation, other = relation_parts(gold), relation_parts(answer)
    if not relation or not other:
        interval = as_interval(relation or other)
        return bool(interval) and same(interval if relation else gold, answer if relation else interval)
    if len(relation) != len(other) or relation[1::2] != other[1::2]:
        return False
    verdict = match_in_order(relation[::2], other[::2], same)
    if verdict is True or len(relation) == 5:
        return verdict
    kind = "multiple" if relation[1] == r"\ne" else "positive"
    return judge.leaf(kind, *(f"{parts[0]} - ({parts[2]})" for parts in (relation, other)))
