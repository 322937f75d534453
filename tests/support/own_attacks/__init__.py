"""Attack programs of our own, in the format of ../shared/attacks.jsonl (see attacks.py): no file outside is needed."""

from own_attacks import exhaustion, files, processes, remains, stealing, values, verdicts  # noqa: F401  # each adds its rows
from own_attacks.rows import ATTACKS as ATTACKS
