"""The folder of a training run: everything to repeat it, to go on with its model, and to look at what it did.

config.json               the environment's id and arguments, the settings, seed, command, versions
metrics.jsonl             one flat object a line: a check of the imitation, or an update; written as it happens
findings.jsonl            what looked wrong, one object a line: update, name, severity, message, remedy; see `doctor`
results.json              evaluations: of the untrained model, after imitation, at the end
events.out.tfevents.*     the same metrics for TensorBoard: `tensorboard --logdir runs`
model/                    network and tokenizer as transformers saves them
checkpoint.pt             all that it takes to go on with the training bit for bit
report.html               all of it to look at; see `textmdp.agents.runs.report`
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmdp.agents.evaluation.evaluate import Evaluation
from textmdp.agents.runs.doctor import Finding
from textmdp.envs.tokenizers import Tokenizer

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from textmdp.agents.inference.sampler import LanguageModelAgent
    from textmdp.agents.models.language_model import LanguageModel

_VERSIONS = ("textmdp", "numpy", "gymnasium", "tokenizers", "torch", "transformers")
_EVENTS, _CHECKPOINT = "events.out.tfevents.*", "checkpoint.pt"
#: Files with an object a line; in each, that of an update has its number.
_LINES = ("metrics.jsonl", "findings.jsonl")


class Run:
    """A run's folder: made with `Run.create`, opened again with `Run.open`.

    Attributes:
        folder: where it is.
        config: what config.json holds.
    """

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.folder, self.config = folder, config
        self._events: SummaryWriter | None = None

    @classmethod
    def create(
        cls,
        folder: str | PathLike[str],
        *,
        env_id: str,
        arguments: Mapping[str, Any],
        settings: Mapping[str, Any],
        held_out: bool,
        seed: int,
        tokenizer: Tokenizer,
        command: str = "",
        overwrite: bool = False,
    ) -> Run:
        """Begin a run in a folder that is new or empty.

        Args:
            folder: where; made if it isn't there.
            env_id: of the environment; `arguments` are what it was made with.
            arguments: see `env_id`.
            settings: the trainer's configuration, flat.
            held_out: whether it is evaluated on problems that training never shows.
            seed: the one number that everything else was drawn from.
            tokenizer: of the environment; its fingerprint is kept, so that the model is never fed another's ids.
            command: the command line that repeats the run.
            overwrite: put an earlier run's files out of the way; whatever else is in the folder stays.
        """
        path = Path(folder)
        if path.exists() and not path.is_dir():
            raise FileExistsError(f"{path} is a file; a run needs a folder: choose another --out")
        if path.is_dir() and any(path.iterdir()):
            if not overwrite:
                raise FileExistsError(
                    f"{path} is not empty: choose another --out, or --overwrite the run that is there"
                )
            if not (path / "config.json").is_file():
                raise FileExistsError(
                    f"{path} holds files but no run, so nothing in it is overwritten: choose another --out"
                )
            _clear(path)
        path.mkdir(parents=True, exist_ok=True)
        config = {
            "id": env_id,
            "arguments": dict(arguments),
            "seed": seed,
            "settings": dict(settings),
            "held_out": held_out,
            "command": command,
            "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "versions": {"python": platform.python_version(), **_versions()},
            "platform": platform.platform(),
            "tokenizer": fingerprint(tokenizer),
        }
        try:
            text = json.dumps(config, indent=2, ensure_ascii=False)
        except TypeError as error:
            raise TypeError(f"a run's arguments and settings must be plain JSON values: {error}") from None
        (path / "config.json").write_text(text + "\n", encoding="utf-8")
        for name in _LINES:
            (path / name).touch()
        return cls(path, config)

    @classmethod
    def open(cls, folder: str | PathLike[str]) -> Run:
        """The run in a folder."""
        path = Path(folder)
        if not path.is_dir():
            raise FileNotFoundError(
                f"there is no agent or run {str(folder)!r}: give random, expert, or a folder that `textmdp train` wrote"
            )
        try:
            return cls(path, json.loads((path / "config.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise FileNotFoundError(f"{path} is no run: it has no config.json; `textmdp train` writes one") from None
        except json.JSONDecodeError as error:
            raise ValueError(f"{path / 'config.json'}, line {error.lineno}: {error.msg}") from None

    # Writing

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Add a line of metrics; it is on disk, and in TensorBoard's file at `step`, when this returns."""
        flat = {name: _number(value) for name, value in metrics.items()}
        self._append("metrics.jsonl", flat)
        if self._events is None:
            from torch.utils.tensorboard import SummaryWriter

            self._events = SummaryWriter(str(self.folder))
        for name, value in flat.items():
            if value is not None:
                self._events.add_scalar(name, value, step)
        self._events.flush()

    def log_finding(self, update: int, finding: Finding) -> None:
        """Add a line of what the doctor found at an update."""
        self._append("findings.jsonl", {"update": update, **asdict(finding)})

    def save_model(self, model: LanguageModel) -> None:
        """Write the model: beside the old one first, so that there is a whole one at any time."""
        fresh, place = self.folder / "model.new", self.folder / "model"
        shutil.rmtree(fresh, ignore_errors=True)
        model.save(fresh)
        shutil.rmtree(place, ignore_errors=True)
        fresh.rename(place)

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Keep what training goes on from, `Trainer.state`: a whole file at any time, whatever happens."""
        import torch

        path = self.folder / _CHECKPOINT
        fresh = path.with_suffix(".pt.new")
        torch.save(dict(state), fresh)
        fresh.replace(path)

    def load_checkpoint(self) -> dict[str, Any] | None:
        """What `save_checkpoint` kept last; None where there is nothing yet. What was logged after it is dropped."""
        import torch

        path = self.folder / _CHECKPOINT
        if not path.is_file():
            return None
        state: dict[str, Any] = torch.load(path, weights_only=True)  # plain data alone: a file can't run code
        for name in _LINES:
            kept = [row for row in self._rows(name) if row.get("update", 0) <= state["update"]]
            fresh = self.folder / f"{name}.new"
            fresh.write_text("".join(map(_line, kept)), encoding="utf-8")
            fresh.replace(self.folder / name)
        return state

    def save_evaluation(self, name: str, evaluation: Evaluation) -> None:
        """Keep an evaluation in results.json under a name: "untrained", "imitation", "final"."""
        results = {kept: other.as_dict() for kept, other in self.evaluations().items()}
        results[name] = evaluation.as_dict()
        path = self.folder / "results.json"
        fresh = path.with_suffix(".json.new")
        fresh.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        fresh.replace(path)

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self._events is not None:
            self._events.close()
            self._events = None

    def _append(self, name: str, row: Mapping[str, Any]) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as stream:
            stream.write(_line(row))

    # Reading

    def metrics(self) -> list[dict[str, Any]]:
        """What `log` wrote, line by line."""
        return self._rows("metrics.jsonl")

    def findings(self) -> list[dict[str, Any]]:
        """What `log_finding` wrote, line by line."""
        return self._rows("findings.jsonl")

    def _rows(self, name: str) -> list[dict[str, Any]]:
        path = self.folder / name
        if not path.is_file():  # older runs kept no findings
            return []
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = []
        for number, line in enumerate(lines, start=1):
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError as error:
                if number == len(lines):
                    break  # the machine stopped while it was written
                raise ValueError(f"{path}, line {number}: {error.msg}") from None
        return rows

    def evaluations(self) -> dict[str, Evaluation]:
        """What `save_evaluation` kept, by name."""
        path = self.folder / "results.json"
        if not path.is_file():
            return {}
        results = json.loads(path.read_text(encoding="utf-8"))
        return {name: Evaluation.from_dict(data) for name, data in results.items()}

    def load_model(self, tokenizer: Tokenizer) -> LanguageModel:
        """The model, for an environment with the same tokenizer."""
        folder = self.folder / "model"
        if not folder.is_dir():
            raise FileNotFoundError(f"{self.folder} has no model yet: the run ended before it was first saved")
        trained, given = self.config["tokenizer"], fingerprint(tokenizer)
        if trained != given:
            raise ValueError(
                f"the model of {self.folder} has a vocabulary of {trained['vocab_size']} tokens, the environment "
                f"of {given['vocab_size']}: use the id and arguments that it was trained with, "
                f"{self.config['id']} {_told(self.config['arguments'])}".rstrip()
            )
        from textmdp.agents.inference.compatibility import load_model

        return load_model(folder, tokenizer)

    def agent(self, tokenizer: Tokenizer, *, seed: int = 0, greedy: bool = True) -> LanguageModelAgent:
        """The trained agent, at the temperature that it was trained with."""
        from textmdp.agents.inference.sampler import LanguageModelAgent

        temperature = float(self.config["settings"].get("temperature", 1.0))
        return LanguageModelAgent(self.load_model(tokenizer), temperature=temperature, greedy=greedy, seed=seed)


def fingerprint(tokenizer: Tokenizer) -> dict[str, Any]:
    """What tells two vocabularies apart: their size, and a hash of their tokens in order."""
    digest = hashlib.sha256()
    for token in range(tokenizer.vocab_size):
        digest.update(tokenizer.token_text(token).encode(errors="backslashreplace") + b"\0")
    return {"vocab_size": tokenizer.vocab_size, "sha256": digest.hexdigest()}


def _versions() -> dict[str, str]:
    versions = {}
    for name in _VERSIONS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _clear(folder: Path) -> None:
    """Remove the files of a run, and nothing else."""
    for name in (*_LINES, "results.json", "report.html", "config.json", _CHECKPOINT):
        (folder / name).unlink(missing_ok=True)
    for path in folder.glob(_EVENTS):
        path.unlink()
    for name in ("model", "model.new"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row) + "\n"


def _number(value: float) -> float | int | None:
    """A metric as JSON can hold it: there is no NaN in JSON."""
    if isinstance(value, int):
        return value
    return float(value) if math.isfinite(value) else None


def _told(arguments: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in arguments.items())
