"""A Gymnasium space of text: any Unicode string up to a length.

`gymnasium.spaces.Text` refuses spaces, newlines and the empty string by default, and takes a second to build or to
compare with a charset of all of Unicode. Through the shared memory of `AsyncVectorEnv` it returns wrong strings
(Gymnasium 1.4), since the batch is read once, when the memory is still empty. `UnicodeText` has none of these faults.
"""

from __future__ import annotations

import multiprocessing
import string
from collections.abc import Iterator, Sequence
from typing import Any, SupportsIndex, TypeAlias

import numpy as np
from gymnasium.spaces import Box, Text
from gymnasium.spaces.utils import flatdim, flatten, flatten_space, is_space_dtype_shape_equiv, unflatten
from gymnasium.vector.utils import (
    batch_differing_spaces,
    create_shared_memory,
    read_from_shared_memory,
    write_to_shared_memory,
)
from numpy.typing import NDArray

#: The characters that `UnicodeText.sample` draws from.
SAMPLED = string.ascii_letters + string.digits + string.punctuation + " \n"

# No code point is negative. 0 would be ambiguous, since "\0" is a valid character.
_PADDING = -1
_LAST_CODE_POINT = 0x10FFFF


class _NoShape(tuple[int, ...]):
    """The shape of a text, which has none: an error for agents that stack arrays, such as those of SB3."""

    def __iter__(self) -> Iterator[int]:
        raise TypeError(
            "a text has no shape, and agents such as those of Stable-Baselines3 need arrays: make the environment with "
            'action="tokens", or use the token view, NAME-v0 instead of NAMEResponse-v0'
        )


class UnicodeText(Text):
    r"""Any Unicode string of at most `max_length` characters, with newlines, and the empty string.

    Lone surrogates (half of a UTF-16 pair, such as "\ud800") are no Unicode text, and are not in the space. `sample`
    draws from a small set of printable characters, to which `character_set` and the masks of `sample` refer. A text is
    flattened to its code points, padded with -1 to `max_length`.

    Args:
        max_length: the maximum number of characters.
        seed: the seed of `sample`.
    """

    def __init__(self, max_length: int, *, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(max_length, min_length=0, charset=SAMPLED, seed=seed)

    @property
    def shape(self) -> tuple[int, ...]:
        """No shape: an object that explains itself to those who iterate over it."""
        return _NoShape()

    def contains(self, x: Any) -> bool:
        """True if `x` is a string of at most `max_length` characters without lone surrogates."""
        return isinstance(x, str) and len(x) <= self.max_length and _is_unicode(x)

    def __repr__(self) -> str:
        return f"UnicodeText({self.max_length})"

    def __eq__(self, other: object, /) -> bool:
        return isinstance(other, UnicodeText) and self.max_length == other.max_length

    def __hash__(self) -> int:
        return hash((UnicodeText, self.max_length))


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# Flattening


@flatdim.register(UnicodeText)
def _flatdim(space: UnicodeText) -> int:
    return space.max_length


@flatten_space.register(UnicodeText)
def _flatten_space(space: UnicodeText) -> Box:
    return Box(_PADDING, _LAST_CODE_POINT, (space.max_length,), np.int32)


@flatten.register(UnicodeText)
def _flatten(space: UnicodeText, x: str) -> NDArray[np.int32]:  # type: ignore[misc]
    codes = np.full(space.max_length, _PADDING, np.int32)
    codes[: len(x)] = np.frombuffer(x.encode("utf-32-le"), "<i4")
    return codes


@unflatten.register(UnicodeText)
def _unflatten(space: UnicodeText, x: NDArray[Any]) -> str:  # type: ignore[misc]
    codes = np.asarray(x)
    return codes[codes >= 0].astype("<i4").tobytes().decode("utf-32-le")


# Vector environments. `batch_space`, `iterate`, `concatenate` and `create_empty_array` need no registration: they
# dispatch on `Text`, and a batch is a tuple of strings.


@is_space_dtype_shape_equiv.register(UnicodeText)
def _is_equivalent(space_1: UnicodeText, space_2: Any) -> bool:
    return space_1 == space_2


@batch_differing_spaces.register(UnicodeText)
def _batch_differing(spaces: Sequence[UnicodeText]) -> Any:  # type: ignore[misc]
    # Registered again because Gymnasium looks up the exact type here.
    return batch_differing_spaces.dispatch(Text)(spaces)


# Shared memory: the number of UTF-8 bytes of each environment's text, and the bytes in slots of one size.
_Memory: TypeAlias = tuple[Any, Any]


@create_shared_memory.register(UnicodeText)
def _create(space: UnicodeText, n: int = 1, ctx: Any = multiprocessing) -> _Memory:
    return ctx.Array("q", n), ctx.Array("B", n * 4 * space.max_length)


@write_to_shared_memory.register(UnicodeText)
def _write(space: UnicodeText, index: int, value: str, shared_memory: _Memory) -> None:
    sizes, slots = _views(shared_memory)
    try:
        data = value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"an observation has a lone surrogate, {value[error.start]!r} at position {error.start}: "
            'it is no Unicode text; replace it with text.encode(errors="replace").decode()'
        ) from None
    if len(value) > space.max_length:
        raise ValueError(
            f"an observation of {len(value)} characters is longer than {space} allows; use a longer max_length"
        )
    slots[index, : len(data)] = np.frombuffer(data, np.uint8)
    sizes[index] = len(data)


@read_from_shared_memory.register(UnicodeText)
def _read(space: UnicodeText, shared_memory: _Memory, n: int = 1) -> SharedTexts:
    return SharedTexts(shared_memory)


def _views(memory: _Memory) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The sizes, (n,), and the slots, (n, bytes)."""
    sizes = np.frombuffer(memory[0].get_obj(), np.int64)
    slots = np.frombuffer(memory[1].get_obj(), np.uint8) if len(memory[1]) else np.zeros(0, np.uint8)
    return sizes, slots.reshape(len(sizes), len(slots) // len(sizes))


class SharedTexts(tuple[str, ...]):
    """A view of the texts that the workers of an `AsyncVectorEnv` wrote last.

    `AsyncVectorEnv` reads its shared memory once, at construction, and returns a deep copy after each step, a plain
    tuple of strings. With `copy=False` it returns this view, which changes with every step.

    The class is a tuple because the batched space is a `Tuple`; the items of the tuple itself are placeholders.
    """

    _memory: _Memory

    def __new__(cls, memory: _Memory) -> SharedTexts:
        """A view of `memory`, the result of `create_shared_memory`."""
        self = super().__new__(cls, [""] * len(memory[0]))
        self._memory = memory
        return self

    def texts(self) -> tuple[str, ...]:
        """The current texts."""
        sizes, slots = _views(self._memory)
        return tuple(slot[:size].tobytes().decode() for size, slot in zip(sizes.tolist(), slots, strict=True))

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts())

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        return self.texts()[index]

    def __contains__(self, text: object) -> bool:
        return text in self.texts()

    def __eq__(self, other: object) -> bool:
        return self.texts() == (other.texts() if isinstance(other, SharedTexts) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.texts())

    def __repr__(self) -> str:
        return repr(self.texts())

    def __copy__(self) -> tuple[str, ...]:
        return self.texts()

    def __deepcopy__(self, memo: dict[int, Any]) -> tuple[str, ...]:
        return self.texts()

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (self.texts(),)
