"""The folder of a training run.

config.json               environment id and arguments, settings, seed, command, versions
metrics.jsonl             an object a line: metrics of a check of the imitation, or of an update
findings.jsonl            an object a line: update, name, severity, message, remedy; see `doctor`
results.json              evaluations: "untrained", "imitation", "final"
events.out.tfevents.*     the same metrics for TensorBoard: `tensorboard --logdir runs`
model/                    network and tokenizer in transformers' format
checkpoint.pt             state of the training, to resume it bit for bit
report.html               see `textmdp.agents.runs.report`
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
from textmdp.agents.runs import folder as files
from textmdp.agents.runs.doctor import Finding
from textmdp.envs.tokenizers import Tokenizer

# torch, transformers and TensorBoard take seconds to import, which most commands save: they are imported in functions.
if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from textmdp.agents.inference.sampler import LanguageModelAgent
    from textmdp.agents.models.language_model import LanguageModel

_VERSIONS = ("textmdp", "numpy", "gymnasium", "tokenizers", "torch", "transformers")


class Run:
    """The folder of a run: `Run.create` begins one, `Run.open` opens it again.

    Attributes:
        folder: its path.
        config: the content of config.json.
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
        module: str = "",
    ) -> Run:
        """Begin a run in a folder that is new or empty.

        Args:
            folder: its path; created if missing.
            env_id: id of the environment.
            arguments: of the environment, JSON values.
            settings: all options, flat, see `ExperimentConfig.settings`.
            held_out: True if evaluations use problems that training never shows.
            seed: of the run.
            tokenizer: of the environment; its fingerprint is kept, so that the model is never used with another.
            command: command line that repeats the run.
            overwrite: delete the files of an earlier run; all other files stay. A run that logged nothing, because its
                model couldn't be loaded, say, is always overwritten.

            module: that registers the environment; "" for none.

        Raises:
            FileExistsError: the folder isn't empty, and `overwrite` is False or it holds no run.
            TypeError: arguments or settings aren't JSON values.
        """
        path = Path(folder)
        files.prepare(path, overwrite)
        config = {
            "id": env_id,
            **({"module": module} if module else {}),
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
        (path / files.CONFIG).write_text(text + "\n", encoding="utf-8")
        for name in files.LINES:
            (path / name).touch()
        return cls(path, config)

    @classmethod
    def open(cls, folder: str | PathLike[str]) -> Run:
        """Return the run in a folder.

        Raises:
            FileNotFoundError: there is no such folder, or it holds no run.
            ValueError: config.json is damaged.
        """
        path = Path(folder)
        if not path.is_dir():
            raise FileNotFoundError(
                f"there is no agent or run {str(folder)!r}: give random, expert, a folder that `textmdp train` wrote, "
                "or a causal language model (a folder or a hub name)"
            )
        try:
            return cls(path, json.loads((path / files.CONFIG).read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise FileNotFoundError(f"{path} is no run: it has no config.json; `textmdp train` writes one") from None
        except json.JSONDecodeError as error:
            raise ValueError(f"{path / 'config.json'}, line {error.lineno}: {error.msg}") from None

    # Writing

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Append a line of metrics, and write them for TensorBoard at `step`; both are on disk when this returns."""
        flat = {name: _number(value) for name, value in metrics.items()}
        self._append(files.METRICS, flat)
        if self._events is None:
            from torch.utils.tensorboard import SummaryWriter

            self._events = SummaryWriter(str(self.folder))
        for name, value in flat.items():
            if value is not None:
                self._events.add_scalar(name, value, step)
        self._events.flush()

    def log_finding(self, update: int, finding: Finding) -> None:
        """Append a finding of the doctor at an update."""
        self._append(files.FINDINGS, {"update": update, **asdict(finding)})

    def save_model(self, model: LanguageModel) -> None:
        """Save the model; the old one is replaced only after the new one is complete."""
        fresh, place = self.folder / files.NEW_MODEL, self.folder / files.MODEL
        shutil.rmtree(fresh, ignore_errors=True)
        model.save(fresh)
        shutil.rmtree(place, ignore_errors=True)
        fresh.rename(place)

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Save `Trainer.state`; the old checkpoint is replaced only after the new one is complete."""
        import torch

        path = self.folder / files.CHECKPOINT
        fresh = path.with_suffix(".pt.new")
        torch.save(dict(state), fresh)
        fresh.replace(path)

    def load_checkpoint(self) -> dict[str, Any] | None:
        """Return the last checkpoint, or None; lines of later updates are removed from metrics and findings."""
        state = self.read_checkpoint()
        if state is None:
            return None
        for name in files.LINES:
            kept = [row for row in self._rows(name) if row.get("update", 0) <= state["update"]]
            fresh = self.folder / f"{name}.new"
            fresh.write_text("".join(map(_line, kept)), encoding="utf-8")
            fresh.replace(self.folder / name)
        return state

    def save_evaluation(self, name: str, evaluation: Evaluation) -> None:
        """Save an evaluation in results.json under a name: "untrained", "imitation" or "final"."""
        results = {kept: other.as_dict() for kept, other in self.evaluations().items()}
        results[name] = evaluation.as_dict()
        path = self.folder / files.RESULTS
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
        """Return the lines of metrics.jsonl; None stands for a number that isn't finite."""
        return self._rows(files.METRICS)

    def findings(self) -> list[dict[str, Any]]:
        """Return the lines of findings.jsonl."""
        return self._rows(files.FINDINGS)

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
                    break  # the process was killed while it wrote the line
                raise ValueError(f"{path}, line {number}: {error.msg}") from None
        return rows

    def evaluations(self) -> dict[str, Evaluation]:
        """Return the evaluations in results.json, by name."""
        path = self.folder / files.RESULTS
        if not path.is_file():
            return {}
        results = json.loads(path.read_text(encoding="utf-8"))
        return {name: Evaluation.from_dict(data) for name, data in results.items()}

    def read_checkpoint(self) -> dict[str, Any] | None:
        """Return the last checkpoint, `Trainer.state`, or None."""
        import torch

        path = self.folder / files.CHECKPOINT
        if not path.is_file():
            return None
        state: dict[str, Any] = torch.load(path, weights_only=True)  # plain data: a checkpoint can't run code
        return state

    def load_model(self, tokenizer: Tokenizer) -> LanguageModel:
        """Return the model, for an environment with the same tokenizer.

        Raises:
            FileNotFoundError: no model has been saved yet.
            ValueError: the tokenizer is another.
        """
        folder = self.folder / files.MODEL
        if not folder.is_dir():
            raise FileNotFoundError(f"{self.folder} has no model yet: the run ended before it was first saved")
        trained, given = self.config["tokenizer"], fingerprint(tokenizer)
        if trained != given:
            raise ValueError(
                f"the model of {self.folder} has a vocabulary of {trained['vocab_size']} tokens, the environment "
                f"of {given['vocab_size']}: use the id and arguments that it was trained with, "
                f"{self.config['id']} {_pairs(self.config['arguments'])}".rstrip()
            )
        from textmdp.agents.inference.compatibility import load_model

        return load_model(folder, tokenizer)

    def agent(
        self, tokenizer: Tokenizer, *, seed: int = 0, greedy: bool = True, **sampling: float
    ) -> LanguageModelAgent:
        """Return the trained agent, at the temperature of its training.

        Args:
            tokenizer: of the environment.
            seed: of the sampling.
            greedy: whether to take the most likely tokens.
            sampling: `temperature`, `top_p`, `top_k`, see `LanguageModelAgent`.
        """
        from textmdp.agents.inference.sampler import LanguageModelAgent

        temperature = float(self.config["settings"].get("temperature", 1.0))
        options: dict[str, Any] = {"temperature": temperature, **sampling}
        return LanguageModelAgent(self.load_model(tokenizer), greedy=greedy, seed=seed, **options)


def fingerprint(tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the size of a vocabulary, and a hash of its tokens in their order."""
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


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row) + "\n"


def _number(value: float) -> float | int | None:
    """A metric as a JSON value: None if it isn't finite."""
    if isinstance(value, int):
        return value
    return float(value) if math.isfinite(value) else None


def _pairs(arguments: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in arguments.items())
