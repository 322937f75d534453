"""Pictures of transcripts, for `render_mode="rgb_array"`: roles in colour, the scores below each turn."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Width and height of a picture in pixels; all pictures are alike, as a video needs them.
SIZE = 640, 400
_MARGIN, _FONT_SIZE, _LINE_HEIGHT = 12, 15, 20
_BACKGROUND = 24, 26, 32
#: The colours of the styles of `textmdp.envs.views.rendering`, by their escape codes.
_COLOURS = {"0": (222, 222, 222), "36": (94, 205, 228), "1;33": (245, 205, 92), "2": (142, 146, 156)}
_STYLE = re.compile(r"\x1b\[([0-9;]*)m")

Colour = tuple[int, int, int]
Run = tuple[str, Colour]


def picture(transcript: str) -> NDArray[np.uint8]:
    """A transcript with colours as a picture, (400, 640, 3); the end of one that is too long for it.

    Args:
        transcript: the result of `textmdp.envs.views.rendering.transcript`.

    Raises:
        ImportError: Pillow and Matplotlib, which has the font, are not installed.
    """
    font = _font()
    from PIL import Image, ImageDraw

    width, height = SIZE
    cell = font.getlength("M")
    lines = _lines(transcript, int((width - 2 * _MARGIN) / cell))
    image = Image.new("RGB", SIZE, _BACKGROUND)
    draw = ImageDraw.Draw(image)
    for row, runs in enumerate(lines[-((height - 2 * _MARGIN) // _LINE_HEIGHT) :]):
        column = 0
        for text, colour in runs:
            place = _MARGIN + column * cell, _MARGIN + row * _LINE_HEIGHT
            draw.text(place, text, fill=colour, font=font)
            column += len(text)
    return np.array(image)


def _lines(transcript: str, columns: int) -> list[list[Run]]:
    """The lines of a transcript, broken after so many columns, each of pieces in one colour."""
    lines: list[list[Run]] = [[]]
    room = columns
    pieces = _STYLE.split(transcript)  # text, then style and text in turn
    for style, text in zip(["0", *pieces[1::2]], pieces[::2], strict=True):
        for number, line in enumerate(text.split("\n")):
            if number:
                lines.append([])
                room = columns
            while line:
                if not room:
                    lines.append([])
                    room = columns
                lines[-1].append((line[:room], _COLOURS[style]))
                line, room = line[room:], room - len(line[:room])
    return lines


@lru_cache(maxsize=1)
def _font() -> Any:
    try:
        from matplotlib import get_data_path
        from PIL import ImageFont
    except ImportError as error:
        raise ImportError(
            'render_mode="rgb_array" needs Pillow and Matplotlib: pip install "textmdp[sb3]", '
            'or use render_mode="ansi", which needs neither'
        ) from error
    return ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSansMono.ttf", _FONT_SIZE)
