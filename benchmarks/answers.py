"""The answer checker against graded pairs of answers, beside the verdicts of other graders on the same pairs.

    python -m textmdp.benchmarks.answers pairs.jsonl

A row has `kind` (core: answer against answer; extract: out of a longer text; policy: a matter of convention), `gold`,
`prediction`, `expected`, and `reference_verdicts` by grader.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

from textmdp.envs.answers import grade


def tally(path: Path) -> dict[str, dict[str, list[int]]]:
    """Return for each kind and grader: right answers accepted, right answers, wrong answers accepted, wrong answers."""
    counts: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0, 0]))
    for line in path.read_text().splitlines():
        row = json.loads(line)
        golds = [row["gold"]] if isinstance(row["gold"], str) else row["gold"]  # some rows list alternatives
        ours = any(grade(gold, row["prediction"]).correct for gold in golds)
        verdicts = {"textmdp": ours, **row["reference_verdicts"]}
        for grader, verdict in verdicts.items():
            at = 0 if row["expected"] else 2
            counts[row["kind"]][grader][at] += bool(verdict)
            counts[row["kind"]][grader][at + 1] += 1
    return counts


def integer_checks_per_second(count: int = 100_000, repeats: int = 5) -> list[float]:
    """Return the integer answers graded in a second, sorted, one rate for each repeat; a third of them are right."""
    pairs = [(str(i), f"#### {i + (i % 3 > 0)}") for i in range(count)]
    rates = []
    for _ in range(repeats):
        start = time.perf_counter()
        for gold, response in pairs:
            grade(gold, response)
        rates.append(count / (time.perf_counter() - start))
    return sorted(rates)


def main() -> None:
    """Print the table and the speed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, help="a JSONL file of graded pairs")
    counts = tally(parser.parse_args().pairs)
    print(f"{'kind':10} {'grader':28} {'right accepted':>16} {'wrong accepted':>16}")
    for kind, graders in sorted(counts.items()):
        for grader, (right, rights, wrong, wrongs) in graders.items():
            print(f"{kind:10} {grader:28} {right:8} of {rights:4} {wrong:8} of {wrongs:4}")
    rates = integer_checks_per_second()
    print(f"\n{rates[0]:,.0f} to {rates[-1]:,.0f} integer answers a second on this machine ({len(rates)} repeats)")


if __name__ == "__main__":
    main()
