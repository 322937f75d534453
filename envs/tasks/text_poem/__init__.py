"""Poems of n lines: a proxy reward that counts lines, and a gold score that reads them."""

from textmdp.envs.tasks.text_poem.task import TextPoem

__all__ = ["TextPoem"]
