from __future__ import annotations

import copy
import functools
import json
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces.utils import flatdim, flatten, flatten_space, is_space_dtype_shape_equiv, unflatten
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv
from gymnasium.vector.utils import (
    batch_differing_spaces,
    batch_space,
    create_empty_array,
    create_shared_memory,
    iterate,
    read_from_shared_memory,
    write_to_shared_memory,
)
from hypothesis import given
from hypothesis import strategies as st

from textmdp.envs.core.spaces import SAMPLED, UnicodeText

LENGTH = 24
SPACE = UnicodeText(LENGTH)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=LENGTH)

# Every step gives the next one: long, empty, newlines, four-byte characters, a NUL, right-to-left, combining marks.
SAID = ["", " ", "two\nlines\n", "𝒳" * LENGTH, "a\0b\0", "שלום", "e\u0301", "x" * LENGTH, "", "\U0010ffff"]


class Talker(gym.Env[Any, Any]):
    """Says the lines of SAID one after the other, and echoes its action in the reward."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, form: str = "bare", first: int = 0) -> None:
        self.form, self.first = form, first
        text = UnicodeText(LENGTH)
        self.observation_space: spaces.Space[Any] = {
            "bare": text,
            "dict": spaces.Dict(text=text, nested=spaces.Dict(text=text), count=spaces.Box(0, 99, (1,), np.int64)),
            "tuple": spaces.Tuple((spaces.Discrete(100), text)),
        }[form]
        self.action_space = UnicodeText(LENGTH)

    def say(self) -> Any:
        text = SAID[(self.first + self.count) % len(SAID)]
        if self.form == "bare":
            return text
        if self.form == "tuple":
            return self.count, text
        return {"text": text, "nested": {"text": text[::-1]}, "count": np.array([self.count])}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.count = 0
        return self.say(), {}

    def step(self, action: str) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert action in self.action_space
        self.count += 1
        return self.say(), float(len(action)), False, False, {}


def texts_in(form: str, observation: Any) -> list[tuple[str, ...]]:
    if form == "dict":
        return [observation["text"], observation["nested"]["text"]]
    return [observation if form == "bare" else observation[1]]


@given(texts)
def test_any_unicode_text_is_inside(text: str) -> None:
    assert text in SPACE
    assert text in UnicodeText(len(text))
    assert not text or text not in UnicodeText(len(text) - 1)


@pytest.mark.parametrize("value", ["x" * (LENGTH + 1), "a\ud800", "\udfff", b"bytes", 3, None, ["a"], np.array("a")])
def test_other_things_are_outside(value: Any) -> None:
    assert value not in SPACE


def test_it_compares_and_hashes_by_length() -> None:
    assert SPACE == UnicodeText(LENGTH, seed=3) != UnicodeText(LENGTH + 1)
    assert hash(SPACE) == hash(UnicodeText(LENGTH))
    alike = spaces.Text(LENGTH, min_length=0, charset=SAMPLED)
    assert not alike == SPACE  # noqa: SIM201
    assert not SPACE == alike  # noqa: SIM201, SIM300
    assert repr(SPACE) == "UnicodeText(24)"
    assert eval(repr(SPACE)) == SPACE  # noqa: S307


def test_samples_are_inside_and_seeded() -> None:
    a, b = UnicodeText(50, seed=1), UnicodeText(50, seed=1)
    drawn = [a.sample() for _ in range(50)]
    assert drawn == [b.sample() for _ in range(50)]
    assert all(type(text) is str and text in a for text in drawn)
    assert {"\n", " "} <= set("".join(drawn))
    assert len({len(text) for text in drawn}) > 10


@pytest.mark.parametrize("copied", [lambda s: pickle.loads(pickle.dumps(s)), copy.deepcopy])
def test_it_survives_copies_with_its_generator(copied: Any) -> None:
    space = UnicodeText(9, seed=5)
    other = copied(space)
    assert other == space
    assert other.sample() == space.sample()


@given(st.lists(texts, max_size=4))
def test_json_round_trip(values: list[str]) -> None:
    assert SPACE.from_jsonable(json.loads(json.dumps(SPACE.to_jsonable(values)))) == values


@given(texts)
def test_flattening_is_lossless(text: str) -> None:
    flat = flatten(SPACE, text)
    assert flat in flatten_space(SPACE)
    assert flat.shape == (flatdim(SPACE),)
    assert unflatten(SPACE, flat) == text
    both = spaces.Dict(text=SPACE, number=spaces.Discrete(3))
    value = {"text": text, "number": 2}
    assert flatten(both, value) in flatten_space(both)
    assert unflatten(both, flatten(both, value)) == value


@given(st.lists(texts, min_size=1, max_size=4))
def test_batches_are_tuples_of_texts(values: list[str]) -> None:
    n = len(values)
    assert tuple(values) in batch_space(SPACE, n)
    assert list(iterate(batch_space(SPACE, n), tuple(values))) == values
    assert create_empty_array(SPACE, n) in batch_space(SPACE, n)
    memory = create_shared_memory(SPACE, n)
    view = read_from_shared_memory(SPACE, memory, n)  # before anything is written, as AsyncVectorEnv does
    for i, value in enumerate(values):
        write_to_shared_memory(SPACE, i, value, memory)
    expected = tuple(values)
    assert view in batch_space(SPACE, n)
    assert view == expected
    assert expected == view
    assert (tuple(view), [*view], view[0], view[-1], len(view)) == (expected, values, values[0], values[-1], n)
    assert (repr(view), hash(view), view[1:]) == (repr(expected), hash(expected), expected[1:])
    assert values[0] in view
    for plain in (copy.copy(view), copy.deepcopy(view), pickle.loads(pickle.dumps(view))):
        assert type(plain) is tuple
        assert plain == expected


def test_shared_memory_refuses_what_the_space_does() -> None:
    memory = create_shared_memory(UnicodeText(3), 2)
    with pytest.raises(ValueError, match="4 characters is longer than UnicodeText\\(3\\) allows"):
        write_to_shared_memory(UnicodeText(3), 0, "four", memory)
    with pytest.raises(ValueError, match=r"lone surrogate, '\\ud800' at position 1"):
        write_to_shared_memory(UnicodeText(3), 0, "a\ud800", memory)
    assert read_from_shared_memory(UnicodeText(3), memory, 2) == ("", "")


def test_the_empty_text_alone() -> None:
    memory = create_shared_memory(UnicodeText(0), 2)
    write_to_shared_memory(UnicodeText(0), 1, "", memory)
    assert read_from_shared_memory(UnicodeText(0), memory, 2) == ("", "")
    assert UnicodeText(0).sample() == ""


@pytest.mark.parametrize("form", ["bare", "dict", "tuple"])
@pytest.mark.parametrize("kind", ["sync", "fork", "spawn", "no shared memory"])
def test_vector_environments_say_what_single_ones_say(form: str, kind: str) -> None:
    makers = [functools.partial(Talker, form, first) for first in range(3)]
    if kind == "sync":
        envs: Any = SyncVectorEnv(makers)
    elif kind == "no shared memory":
        envs = AsyncVectorEnv(makers, shared_memory=False)
    else:
        envs = AsyncVectorEnv(makers, context=kind)
    try:
        seen = [envs.reset()[0]]
        actions = ("", "two words", "z\n𝒳")
        for _ in range(len(SAID)):
            observation, rewards, *_ = envs.step(actions)
            seen.append(observation)
            assert rewards.tolist() == [0.0, 9.0, 3.0]
        # All of them at the end, so that a batch which later steps change would show.
        for step, observation in enumerate(seen):
            assert observation in envs.observation_space
            for where, batch in enumerate(texts_in(form, observation)):
                expected = [SAID[(first + step) % len(SAID)][:: 1 - 2 * where] for first in range(3)]
                assert type(batch) is tuple
                assert all(type(text) is str for text in batch)
                assert list(batch) == expected
    finally:
        envs.close()


def test_without_copies_the_batch_is_a_view() -> None:
    envs = AsyncVectorEnv([functools.partial(Talker, "dict", first) for first in range(2)], copy=False)
    try:
        first, _ = envs.reset()
        second, *_ = envs.step(("", ""))
        assert first["text"] is second["text"]
        assert list(second["text"]) == SAID[1:3]
        assert second in envs.observation_space
    finally:
        envs.close()


def test_spaces_of_different_lengths_batch_and_share_no_memory() -> None:
    lengths = [4, 12]
    batched = batch_differing_spaces([UnicodeText(n) for n in lengths])
    assert batched == spaces.Tuple([UnicodeText(n) for n in lengths])
    assert is_space_dtype_shape_equiv(SPACE, UnicodeText(LENGTH))
    assert not is_space_dtype_shape_equiv(*batched.spaces)
    assert not is_space_dtype_shape_equiv(SPACE, spaces.Text(LENGTH, min_length=0, charset=SAMPLED))


@pytest.mark.parametrize("form", ["bare", "dict", "tuple"])
def test_gymnasium_accepts_an_environment_of_texts(form: str) -> None:
    check_env(Talker(form), skip_render_check=True)
