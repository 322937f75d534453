"""The retail domain of tau-bench as a task: its records, its tools and its 115 problems, read from a folder."""

from textmdp.envs.tasks.text_support.retail.task import TextRetail

__all__ = ["TextRetail"]
