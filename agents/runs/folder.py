"""Files of a run's folder: their names, and what may be overwritten."""

from __future__ import annotations

import shutil
from pathlib import Path

CONFIG, RESULTS, REPORT, CHECKPOINT = "config.json", "results.json", "report.html", "checkpoint.pt"
MODEL, NEW_MODEL = "model", "model.new"
EVENTS = "events.out.tfevents.*"
#: Files with an object a line, which has `update` if it is of one.
METRICS, FINDINGS = LINES = ("metrics.jsonl", "findings.jsonl")


def prepare(folder: Path, overwrite: bool) -> None:
    """Make an empty folder, or delete the files of the run that is there.

    Args:
        folder: its path.
        overwrite: delete an earlier run; a run that logged nothing is always deleted.

    Raises:
        FileExistsError: the folder isn't empty, and `overwrite` is False or it holds no run.
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; a run needs a folder: choose another --out")
    if folder.is_dir() and any(folder.iterdir()):
        if not (overwrite or _logged_nothing(folder)):
            raise FileExistsError(f"{folder} is not empty: choose another --out, or --overwrite the run that is there")
        if not (folder / CONFIG).is_file():
            raise FileExistsError(
                f"{folder} holds files but no run, so nothing in it is overwritten: choose another --out"
            )
        _clear(folder)
    folder.mkdir(parents=True, exist_ok=True)


def _logged_nothing(folder: Path) -> bool:
    """True for the run of a model that couldn't be loaded, say: no metrics, no results, and no other files."""
    names = {path.name for path in folder.iterdir()}
    sizes = [(folder / name).stat().st_size for name in names.intersection(LINES)]
    return CONFIG in names and names <= {CONFIG, REPORT, *LINES} and not any(sizes)


def _clear(folder: Path) -> None:
    """Delete the files of a run, and no others."""
    for name in (*LINES, RESULTS, REPORT, CONFIG, CHECKPOINT):
        (folder / name).unlink(missing_ok=True)
    for path in folder.glob(EVENTS):
        path.unlink()
    for name in (MODEL, NEW_MODEL):
        shutil.rmtree(folder / name, ignore_errors=True)
