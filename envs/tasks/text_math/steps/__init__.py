"""Worked steps of the arithmetic levels: written by an expert, broken in one place, and recognised in a response."""

from textmdp.envs.tasks.text_math.steps.thinking import MODES, Thinking
from textmdp.envs.tasks.text_math.steps.ways import WAYS, way_names, ways_of

__all__ = ["MODES", "WAYS", "Thinking", "way_names", "ways_of"]
