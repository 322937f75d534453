"""Folders that tests read: the repository's root, and the data that may lie beside it."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Real data sets and small inputs that failed once; absent outside the project's own machines.
SHARED = ROOT.parent / "shared"
