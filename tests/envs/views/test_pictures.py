"""Pictures of transcripts: `render_mode="rgb_array"`."""

import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import RecordVideo
from toys import Echo

from textmdp.envs import ResponseEnv, TokenEnv, TokenVectorEnv
from textmdp.envs.views.pictures import SIZE, picture

CYAN, YELLOW, WHITE = (94, 205, 228), (245, 205, 92), (222, 222, 222)


def has(image, colour):
    return bool((image == colour).all(-1).any())


def test_roles_have_colours_and_the_picture_grows_with_the_response():
    env = TokenEnv(Echo(), render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()
    assert before.shape == (SIZE[1], SIZE[0], 3)
    assert before.dtype == np.uint8
    assert has(before, CYAN)
    assert not has(before, YELLOW)
    env.step(env.actions_for("1")[0])
    assert has(env.render(), YELLOW)


def test_the_end_of_a_long_transcript_is_shown():
    long = picture("\n".join(["I"] * 100) + "\x1b[36mend\x1b[0m")
    assert has(long, WHITE)
    assert has(long, CYAN)
    wrapped = picture("I" * 100_000 + "\x1b[36mend\x1b[0m")
    assert has(wrapped, CYAN)


def test_a_policy_cannot_draw_with_escape_codes():
    env = ResponseEnv(Echo(), tokenizer="bytes", max_response_tokens=20, render_mode="rgb_array")
    env.reset(seed=0)
    env.step("\x1b[99mabc")
    assert has(env.render(), YELLOW)


def test_a_vector_environment_gives_a_picture_a_row():
    vector = TokenVectorEnv(Echo(), 2, render_mode="rgb_array")
    vector.reset(seed=0)
    assert [image.shape for image in vector.render()] == [(SIZE[1], SIZE[0], 3)] * 2


def test_missing_libraries_are_named_with_the_fix(monkeypatch):
    from textmdp.envs.views import pictures

    monkeypatch.setattr(pictures, "_font", pictures._font.__wrapped__)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r'pip install "textmdp\[sb3\]"'):
        picture("text")


def test_record_video_writes_a_film_of_an_episode(tmp_path):
    pytest.importorskip("moviepy", reason="gymnasium's RecordVideo needs moviepy")
    env = RecordVideo(gym.make("TextGuess-v0", render_mode="rgb_array"), str(tmp_path / "film"))
    env.reset(seed=0)
    ended = False
    while not ended:
        _, _, terminated, truncated, _ = env.step(env.unwrapped.actions_for(env.unwrapped.demonstrate())[0])
        ended = terminated or truncated
    env.close()
    assert [path.suffix for path in (tmp_path / "film").iterdir()] == [".mp4"]
