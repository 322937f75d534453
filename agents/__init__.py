"""Agents that write: scripted ones, and language models that learn by policy gradient."""

import os

# Takes effect if torch is imported later. Its threads wait in busy loops by default: with one other process on a
# machine of two cores, training a tiny model was measured to take 30 times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
