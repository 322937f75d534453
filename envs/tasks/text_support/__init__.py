"""A support bot, a simulated customer, many turns, one reward at the end."""

from textmdp.envs.tasks.text_support.task import TextSupport

__all__ = ["TextSupport"]
