"""Benchmarks: learning curves over seeds, and speed as ratios within one run. Each module's docstring describes one."""

import textmdp.agents  # noqa: F401  # before torch, which reads the settings of its threads once
