"""Lists of answers matched item by item, in three-valued logic: True, False, or None for not known."""

from collections.abc import Callable, Sequence

from textmdp.envs.answers.notation import squash

Same = Callable[[str, str], bool | None]
"""Compares a cleaned reference with a cleaned answer."""
MAX_ITEMS = 64
"""Longer lists are not equal."""


def every(verdicts: Sequence[bool | None]) -> bool | None:
    """Conjunction in three values: one False decides, else one None leaves it open."""
    if any(verdict is False for verdict in verdicts):
        return False
    return None if any(verdict is None for verdict in verdicts) else True


def match_in_order(gold: Sequence[str], answer: Sequence[str], same: Same) -> bool | None:
    """Item by item."""
    if len(gold) != len(answer) or len(gold) > MAX_ITEMS:
        return False
    return every([same(left, right) for left, right in zip(gold, answer, strict=True)])


def match_any_order(gold: Sequence[str], answer: Sequence[str], same: Same) -> bool | None:
    """One to one in some order; equality is taken as transitive, so the first partner found is as good as any."""
    if max(len(gold), len(answer)) > MAX_ITEMS:
        return False
    # An item written twice counts once.
    wanted, left = (list({squash(item): item for item in side}.values()) for side in (gold, answer))
    if len(wanted) != len(left):
        return False
    open_question = False
    for item in wanted:
        verdicts = [same(item, other) for other in left]
        if True in verdicts:
            del left[verdicts.index(True)]
        elif None in verdicts:
            open_question = True
        else:
            return False
    return None if open_question else True
