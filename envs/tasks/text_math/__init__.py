"""Mathematics with answer checking: generated arithmetic, or problems of a data set."""

from textmdp.envs.tasks.text_math.task import TextMath

__all__ = ["TextMath"]
