"""Exercises that check themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def check(claims: Callable[[], Iterable[tuple[bool, str]]]) -> None:
    """Print "right!", or "not yet: " and the hint of the first claim that fails.

    Args:
        claims: generates pairs of a truth value and a hint; it may raise anything, since it calls a student's code.
    """
    try:
        for holds, hint in claims():
            if not holds:
                print(f"not yet: {hint}")
                return
    except NotImplementedError:
        print("not yet: replace `raise NotImplementedError` above with your own lines, then run both cells")
    except Exception as error:
        print(f"not yet: your code raised {type(error).__name__}: {error}")
    else:
        print("right!")
