r"""Equality of answers by their form: lists, tuples, sets, intervals, equations, inequalities, matrices, ratios, words.

:func:`compare` takes the two texts apart until only scalars are left. What it cannot decide exactly it asks of a
``leaf``: in the parent process a function that answers None ("not known"), in the worker one that uses sympy. So every
verdict is True, False or None, and both processes follow the same rules.
"""

import re
from collections.abc import Callable, Sequence

from textmdp.envs.answers.exact import parse_quantity, same_quantity
from textmdp.envs.answers.forms import (
    THOUSANDS,
    as_interval,
    bracketed,
    function_name,
    is_text,
    items,
    matrix_rows,
    member_of,
    named,
    relation_parts,
    sides,
    strip_unit,
    text_of,
)
from textmdp.envs.answers.notation import split_top, squash

Leaf = Callable[[str, str, str], bool | None]
"""``leaf(kind, gold, answer)``; kind is ``"equal"``, ``"multiple"`` (nonzero constant times) or ``"positive"``
(positive constant times): the last two compare equations and inequalities brought to ``... = 0``."""

STEPS = 5_000
"""Comparisons within one verdict: sets of sets in another order would else cost the square of their size, level by
level. What is not decided by then is not equal."""


class Judge:
    """Decides scalars, and counts the work."""

    def __init__(self, leaf: Leaf) -> None:
        self.leaf = leaf
        self.steps = STEPS


MAX_ITEMS = 64
_BASED = re.compile(r"(\w+)_\{?(\d+)\}?")


def every(verdicts: Sequence[bool | None]) -> bool | None:
    """Conjunction in three values: one False decides, else one None leaves it open."""
    if any(verdict is False for verdict in verdicts):
        return False
    return None if any(verdict is None for verdict in verdicts) else True


def compare(gold: str, answer: str, judge: Judge, depth: int = 0) -> bool | None:
    """Compare two cleaned texts.

    Args:
        gold: the reference, cleaned
        answer: what is judged, cleaned
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
    if is_text(gold) or is_text(answer):
        return compare_text(gold, answer, judge, depth)
    return (
        compare_lists(gold, answer, judge, depth)
        if len(items(gold)) > 1 or len(items(answer)) > 1
        else compare_single(gold, answer, judge, depth)
    )


def compare_single(gold: str, answer: str, judge: Judge, depth: int) -> bool | None:
    """Compare two texts without commas on the outside: relations first, then brackets, then the scalar."""
    gold, answer = member_of(gold), member_of(answer)
    relation, other = relation_parts(gold), relation_parts(answer)
    if relation or other:
        return compare_relations(gold, answer, judge, depth)
    if len(sides(gold)) > 1 or len(sides(answer)) > 1:
        return compare_equations(gold, answer, judge, depth)
    if r"\cup" in gold or r"\cup" in answer:
        pieces, others = ([part for part, _ in split_top(text, frozenset({r"\cup"}))] for text in (gold, answer))
        if len(pieces) > 1 or len(others) > 1:
            return match_any_order(pieces, others, judge, depth)
    rows, other_rows = matrix_rows(gold), matrix_rows(answer)
    if rows is not None and other_rows is not None:
        same_shape = [len(row) for row in rows] == [len(row) for row in other_rows]
        return same_shape and match_in_order(
            [cell for row in rows for cell in row], [cell for row in other_rows for cell in row], judge, depth
        )
    bracket, other_bracket = bracketed(gold), bracketed(answer)
    if bracket is not None and other_bracket is not None:
        return compare_brackets(bracket, other_bracket, judge, depth)
    if (bracket is None) != (other_bracket is None):
        kind, inside = bracket or other_bracket or ("", [])
        if len(inside) > 1:
            return False  # a tuple is never a scalar
        if kind in ("()", "{}", r"\{\}"):  # (5) or {5} against 5
            return compare(inside[0] if bracket else gold, answer if bracket else inside[0], judge, depth + 1)
    ratio, other_ratio = ([part for part, _ in split_top(text, frozenset({":"}))] for text in (gold, answer))
    if len(ratio) > 1 or len(other_ratio) > 1:
        return match_in_order(ratio, other_ratio, judge, depth)
    based, other_based = _BASED.fullmatch(squash(gold)), _BASED.fullmatch(squash(answer))
    if based or other_based:
        if based and other_based and based[1].isalnum() and other_based[1].isalnum():
            if based[1].isdigit() or other_based[1].isdigit():
                return based.groups() == other_based.groups()
        elif (based or other_based)[1].isdigit():  # type: ignore[index]
            return False  # 204_5 against a number without its base
    if r"\ldots" in gold or r"\ldots" in answer:
        return False  # not the same text, and what the dots stand for is not known
    return judge.leaf("equal", strip_unit(gold), strip_unit(answer))


def compare_text(gold: str, answer: str, judge: Judge, depth: int) -> bool | None:
    """Words are equal as words; a unit in words behind a formula is dropped; a named text is its value."""
    if text_of(gold) == text_of(answer):
        return bool(text_of(gold))
    stripped, other = strip_unit(gold), strip_unit(answer)
    if (stripped, other) != (gold, answer):
        return compare(stripped, other, judge, depth + 1)
    pieces, others = items(gold), items(answer)
    if len(pieces) > 1 or len(others) > 1:
        return match_any_order(pieces, others, judge, depth) if len(pieces) == len(others) else False
    if (len(sides(gold)) > 1) != (len(sides(answer)) > 1):
        (_, value), (_, other_value) = named(gold), named(answer)
        if (value, other_value) != (gold, answer):
            return compare(value, other_value, judge, depth + 1)
    return False


# --- Lists ------------------------------------------------------------------------------------------------------------


def compare_lists(gold: str, answer: str, judge: Judge, depth: int) -> bool | None:
    """At least one side is a list without brackets."""
    pieces, others = items(member_of(gold)), items(member_of(answer))
    if len(pieces) == 1 or len(others) == 1:
        single = pieces[0] if len(pieces) == 1 else others[0]
        if THOUSANDS.fullmatch(single):  # "100,200" may be meant as a list after all
            split, other_split = (side[0].split(",") if len(side) == 1 else side for side in (pieces, others))
            return match_any_order(split, other_split, judge, depth)
        if len(sides(single)) == 2 and single == member_of(single):
            single = named(single)[1]
            if len(items(single)) > 1:
                return compare(
                    gold if len(others) == 1 else single, single if len(others) == 1 else answer, judge, depth + 1
                )
        if r"\cup" in single:  # "x < -1 or x > 3" against a union of intervals
            union = [part for part, _ in split_top(single, frozenset({r"\cup"}))]
            intervals = [as_interval(relation_parts(part)) for part in (pieces if len(others) == 1 else others)]
            ordered = (intervals, union) if len(others) == 1 else (union, intervals)
            return all(intervals) and match_any_order(*ordered, judge, depth)
        bracket = bracketed(single)
        if bracket is None or bracket[0] not in ("()", "{}", r"\{\}", r"\langle\rangle"):
            return False
        many = pieces if len(others) == 1 else others
        inside = [piece for part in bracket[1] for piece in items(part)]
        left, right = (many, inside) if len(others) == 1 else (inside, many)
        in_order = bracket[0] in ("()", r"\langle\rangle")
        return (match_in_order if in_order else match_any_order)(left, right, judge, depth)
    if any(r"\ldots" in piece for piece in pieces + others):
        return match_in_order(pieces, others, judge, depth)
    names, other_names = [named(p)[0] for p in pieces], [named(p)[0] for p in others]
    distinct = len(set(names) - {""}) > 1
    other_distinct = len(set(other_names) - {""}) > 1
    if distinct != other_distinct and not (any(other_names) if distinct else any(names)):
        # "x = 1, y = 2" against "1, 2": the names give the order.
        return match_in_order([named(p)[1] for p in pieces], [named(p)[1] for p in others], judge, depth)
    return match_any_order(pieces, others, judge, depth)


def match_in_order(gold: Sequence[str], answer: Sequence[str], judge: Judge, depth: int) -> bool | None:
    """Item by item."""
    if len(gold) != len(answer) or len(gold) > MAX_ITEMS:
        return False
    return every([compare(left, right, judge, depth + 1) for left, right in zip(gold, answer, strict=True)])


def match_any_order(gold: Sequence[str], answer: Sequence[str], judge: Judge, depth: int) -> bool | None:
    """One to one in some order; equality is taken as transitive, so the first partner found is as good as any."""
    if max(len(gold), len(answer)) > MAX_ITEMS:
        return False
    # Said twice is said once.
    wanted, left = (list({squash(item): item for item in side}.values()) for side in (gold, answer))
    if len(wanted) != len(left):
        return False
    open_question = False
    for item in wanted:
        verdicts = [compare(item, other, judge, depth + 1) for other in left]
        if True in verdicts:
            del left[verdicts.index(True)]
        elif None in verdicts:
            open_question = True
        else:
            return False
    return None if open_question else True


# --- Brackets ---------------------------------------------------------------------------------------------------------


def compare_brackets(
    gold: tuple[str, list[str]], answer: tuple[str, list[str]], judge: Judge, depth: int
) -> bool | None:
    """Tuples, intervals and sets. Brackets must agree, except that a tuple may be listed in braces, in its order."""
    (kind, inside), (other_kind, other_inside) = gold, answer
    braces, tuples = ("{}", r"\{\}"), ("()", r"\langle\rangle")
    if kind in braces and other_kind in braces:
        members, other_members = ([item for part in side for item in items(part)] for side in (inside, other_inside))
        return match_any_order(members, other_members, judge, depth)
    if len(inside) == len(other_inside) == 1 and kind in (*tuples, *braces, "[]"):
        return compare(inside[0], other_inside[0], judge, depth + 1)
    # Two items in [..], (..] or [..) are the ends of an interval; three and more are only a way to write a tuple.
    loose = len(inside) > 2 and {kind, other_kind} <= {"[]", *tuples}
    if kind == other_kind or loose or {kind, other_kind} <= {*tuples, *braces}:
        return match_in_order(inside, other_inside, judge, depth)
    return False


# --- Equations and inequalities ---------------------------------------------------------------------------------------


def compare_equations(gold: str, answer: str, judge: Judge, depth: int) -> bool | None:
    """At least one side is ``... = ...``."""
    (name, value), (other_name, other_value) = named(gold), named(answer)
    if value != gold and other_value != answer:
        if (
            not name
            or not other_name
            or name == other_name
            or {function_name(name), function_name(other_name)} == {"f(.)", "y"}
        ):
            return compare(value, other_value, judge, depth + 1)
    elif (value != gold and len(sides(answer)) == 1) or (other_value != answer and len(sides(gold)) == 1):
        return compare(value, other_value, judge, depth + 1)
    left, right = sides(gold), sides(answer)
    if len(left) != 2 or len(right) != 2:
        return False
    return judge.leaf("multiple", f"{left[0]} - ({left[1]})", f"{right[0]} - ({right[1]})")


def compare_relations(gold: str, answer: str, judge: Judge, depth: int) -> bool | None:
    """At least one side is an inequality."""
    relation, other = relation_parts(gold), relation_parts(answer)
    if not relation or not other:
        interval = as_interval(relation or other)
        return bool(interval) and compare(
            interval if relation else gold, answer if relation else interval, judge, depth + 1
        )
    if len(relation) != len(other) or relation[1::2] != other[1::2]:
        return False
    verdict = match_in_order(relation[::2], other[::2], judge, depth)
    if verdict is True or len(relation) == 5:
        return verdict
    kind = "multiple" if relation[1] == r"\ne" else "positive"
    return judge.leaf(kind, *(f"{parts[0]} - ({parts[2]})" for parts in (relation, other)))
