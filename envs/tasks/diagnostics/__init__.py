"""Diagnostics: small tasks that isolate one difficulty of credit assignment each, with known returns."""

from typing import Any

from textmdp.envs.tasks.diagnostics.base import Diagnostic
from textmdp.envs.tasks.diagnostics.text_delay import TextDelay
from textmdp.envs.tasks.diagnostics.text_depth import TextDepth
from textmdp.envs.tasks.diagnostics.text_distractor import TextDistractor
from textmdp.envs.tasks.diagnostics.text_format_trap import TextFormatTrap
from textmdp.envs.tasks.diagnostics.text_key_door import TextKeyDoor
from textmdp.envs.tasks.diagnostics.text_length_bias import TextLengthBias
from textmdp.envs.tasks.diagnostics.text_memory import TextMemory
from textmdp.envs.tasks.diagnostics.text_scale import TextScale
from textmdp.envs.tasks.diagnostics.text_stopping import TextStopping
from textmdp.envs.tasks.diagnostics.text_umbrella import TextUmbrella

__all__ = [
    "DIAGNOSTICS",
    "Diagnostic",
    "TextDelay",
    "TextDepth",
    "TextDistractor",
    "TextFormatTrap",
    "TextKeyDoor",
    "TextLengthBias",
    "TextMemory",
    "TextScale",
    "TextStopping",
    "TextUmbrella",
]

#: The diagnostics, in the order of their names in the documentation.
DIAGNOSTICS: tuple[type[Diagnostic[Any]], ...] = (
    TextUmbrella,
    TextMemory,
    TextDelay,
    TextDistractor,
    TextLengthBias,
    TextScale,
    TextFormatTrap,
    TextKeyDoor,
    TextStopping,
    TextDepth,
)
