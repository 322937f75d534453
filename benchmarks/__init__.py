"""Measurements: speed as ratios in one run, learning curves over seeds."""

import textmdp.agents  # noqa: F401  # first: it says how torch's threads should wait, which torch reads when imported
