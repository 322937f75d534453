"""Programs that must pass tests: generated problems, or problems of a data set."""

from textmdp.envs.tasks.text_code.task import TextCode

__all__ = ["TextCode"]
