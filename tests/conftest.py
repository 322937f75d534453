"""What all tests share."""

import textmdp.agents  # noqa: F401  # before torch: it says how its threads should wait
