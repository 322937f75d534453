"""The referee of advantage estimators: every row of the table of algorithms, and the known faults with their twins.

    python -m textmdp.benchmarks.referee

`audit` judges one estimator; it lives in `textmdp.agents.credit.audit`, where the command line finds it as well.
"""

from __future__ import annotations

from textmdp.agents.algorithms.objectives import OBJECTIVES
from textmdp.agents.credit.audit import Audit, audit
from textmdp.agents.credit.known_faults import KNOWN_FAULTS
from textmdp.agents.credit.sampled_audit import SampledAudit, sampled_audit

__all__ = ["Audit", "SampledAudit", "audit", "sampled_audit"]


def main() -> None:
    """Print the verdict on every row, and on every known fault and its twin."""
    print("The table of algorithms, each row as it stands, in groups of 2 and 3:\n")
    for name in OBJECTIVES:
        print(f"{name}: {audit(name).verdict}\n")
    print("Known faults, and the same estimators mended:\n")
    for name, pair in KNOWN_FAULTS.items():
        print(f"{name}\n  as shipped: {audit(pair.faulty).verdict}\n  mended:     {audit(pair.mended).verdict}\n")


if __name__ == "__main__":
    main()
