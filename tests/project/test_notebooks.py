"""The notebooks run from top to bottom, their exercises tell right from wrong, and what they show is what they give.

What a notebook shows on GitHub is saved in it. After a change, run `python tests/project/test_notebooks.py` to save it
anew; names of notebooks restrict it to them.

The cells of an exercise are found by their ids: `exercise-NAME` holds the placeholder, `check-NAME` checks it, and
`solution-NAME` is a folded markdown cell with a solution. A cell tagged `output-varies` gives other text at each run.
"""

import copy
import json
import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from traitlets.config import Config

ROOT = Path(__file__).parents[2]  # this file is a script as well, without pytest's path
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
HEAVY = ("torch", "transformers", "sympy", "datasets", "pandas")
#: Notebooks that train language models; all others run without `HEAVY` packages.
TRAINS_A_MODEL = ("07_ppo", "09_sb3")
#: Notebooks that take 10 seconds or more.
SLOW = ("07_ppo", "09_sb3", "10_referee")

#: Mistakes that a student may well make, and that a check must refuse: edits of the solution to each exercise.
WRONG = {
    "01_text_as_an_mdp": {
        "responses": [
            ("answer.zfill(16)", "answer"),
            ("answer.zfill(16)", "answer.zfill(15)"),
            ("#### {answer}\\n#### 999", "#### {answer}"),
            ("#### {answer}\\n#### 999", "#### 999"),
            ('"short": answer', '"short": "126"'),
            ('"short": answer', '"brief": answer'),
        ],
        "shape": [
            ("gamma * after", "after"),
            (" - before", ""),
            ("+ gamma * after - before", "- gamma * after + before"),
            ("gamma * after - before", "after - gamma * before"),
            ("potentials[1:]", "potentials[2:]"),
        ],
        "returns": [
            ("gamma * following", "following"),
            ("reward + gamma * following", "gamma * (reward + following)"),
            ("reversed(rewards)", "rewards"),
            ("result[::-1]", "result"),
            ("result[::-1]", "result[-1]"),
        ],
        "improve": [
            ("env.restore(here)", "pass"),
            ("env.restore(here)", "env.reset()"),
            ("reward if terminated else reward + value", "value"),
            ("argmax", "argmin"),
        ],
        "guess": [
            ("str((low + high) // 2)", "(low + high) // 2"),
            ("str((low + high) // 2)", "str(low)"),
            ('map(int, chat[0]["content"].rstrip("? ").split("-"))', "(1, 15)"),
            ('"higher" in', '"lower" in'),
            ("chat[2::2], strict=True", "chat[0::2], strict=False"),
        ],
        "task": [
            ("float(response == state)", "1.0"),
            ("float(response == state)", "float(len(response))"),
            ("        return state\n", "        return state[::-1]\n"),
            ('sorted(f"{index:03d}")', "sorted(str(index))"),
            ("done=True", "done=False"),
        ],
    },
    "02_policy_gradient": {
        "score": [
            ("gradient[edge] += 1", "gradient[edge] = 1"),
            ("-policy[edges]", "policy[edges]"),
            ("tree.edges(tree.edge_prefix[edge])", "slice(None)"),
            ("return gradient", "return gradient[edges]"),
        ],
        "weights": [
            ("mask * 1.0", "np.ones(mask.shape)"),
            ("mask * rewards.sum(1, keepdims=True)", "mask * rewards"),
            ("mask * rewards.sum(1, keepdims=True)", "mask * rewards.sum()"),
            ("mask * rewards.sum(1, keepdims=True)", "rewards.sum(1)"),
            ('"likelihood"', '"reinforce"'),
        ],
        "ratios": [
            (".prod(1)", ".sum(1)"),
            (".prod(1)", ".prod()"),
            ("policy[edges] / behaviour[edges]", "behaviour[edges] / policy[edges]"),
            (", 1.0)", ", 0.0)"),
            ("mask = edges >= 0", "mask = edges >= -1"),
        ],
    },
    "03_discounting": {
        "to_go": [
            ("gamma * following", "following"),
            ("rewards[:, t] + gamma * following, following)", "rewards[:, t] + gamma * following, gamma * following)"),
            ("np.where(mask[:, t], following, 0.0)", "following"),
            ("reversed(range(rewards.shape[1]))", "range(rewards.shape[1])"),
            ("return result", "return result[:, ::-1]"),
        ],
        "episodes": [
            ("gamma ** (2 * k)", "gamma**k"),
            ("range(1, n + 1)", "range(n)"),
            ("noise**2", "noise"),
            ("(gamma**n / 2) ** 2", "(gamma**n / 2)"),
            ("(gamma**n / 2)", "(gamma**n)"),
        ],
        "break_even": [
            ("(n + 1))", "max(n, 1))"),
            ("(2 * apple)", "apple"),
            ("(1 / (n + 1))", "(n + 1)"),
        ],
    },
    "04_baselines": {
        "best": [
            ("chances * kappa", "chances"),
            ("chances * kappa", "kappa"),
            (" / weights.sum()", ""),
            ("weights @ returns", "chances @ returns"),
        ],
        "running": [
            ("0.0 if mean is None else mean", "batch.mean() if mean is None else mean"),
            ("baselines[k] = 0.0 if mean is None else mean", "baselines[k] = batch.mean()"),
            ("(1 - rate) * mean + rate", "rate * mean + (1 - rate)"),
            ("return baselines", "return np.append(baselines[1:], mean)"),
        ],
        "others": [
            (" - returns) / (size - 1)", ") / size"),
            (" - returns) / (size - 1)", " - returns) / size"),
            (", keepdims=True", ""),
            ("returns.sum(1, keepdims=True)", "returns.sum()"),
        ],
    },
    "05_gae": {
        "gae": [
            ("delta + lam * advantage, advantage", "delta + lam * advantage, lam * advantage"),
            ("delta + lam * advantage", "delta"),
            ("np.where(own, values[:, t], following)", "values[:, t]"),
            ("rewards[:, t] + following", "rewards[:, t]"),
            ("np.where(own, advantage, 0.0)", "advantage"),
        ],
        "arrives": [
            ("(n - 1)", "n"),
            (" * (1 - c)", ""),
            (" * (1 - c)", " - c"),
        ],
        "targets": [
            ("return rewards_to_go(rewards, mask)", "return rewards_to_go(rewards, mask) - values"),
            ("rewards[:, t] + following, 0.0", "rewards[:, t], 0.0"),
            ("rewards[:, t] + following, 0.0", "rewards[:, t] + following - values[:, t], 0.0"),
            ("values[:, t], following)", "rewards[:, t], following)"),
        ],
    },
    "06_branching": {
        "estimate": [
            (" / np.sqrt(len(returns))", ""),
            ("np.sqrt(len(returns))", "len(returns)"),
            ("ddof=1", "ddof=0"),
            ("returns.mean(), ", "np.median(returns) + 0.1, "),
        ],
        "vine": [
            ("rewards + ", ""),
            ("values[1:] - values[:-1]", "values[:-1] - values[1:]"),
            ("endings.mean(1), 0.0", "endings.mean(1), endings[-1].mean()"),
            ("endings.mean(1)", "endings.max(1)"),
            ("endings.mean(1)", "endings.mean(0)"),
        ],
        "bill": [
            ("length + branches", "branches"),
            ("(length + 1) / 2", "length"),
            ("(length + 1)", "(length - 1)"),
        ],
    },
    "07_ppo": {
        "clip": [
            ("np.minimum(ratios * advantages, bounded * advantages)", "bounded * advantages"),
            ("np.minimum", "np.maximum"),
            ("1 - epsilon, 1 + epsilon", "-epsilon, epsilon"),
            ("1 - epsilon, ", "0, "),
        ],
        "held": [
            ("good | bad", "good & bad"),
            ("good | bad", "good"),
            ("(advantages < 0) & ", ""),
            ("advantages < 0", "advantages > 0"),
            ("1 + epsilon", "1"),
        ],
        "third": [
            (" - 1 + log_ratio", " - 1"),
            ("np.exp(-log_ratio)", "np.exp(log_ratio)"),
            ("log_probs - reference", "reference - log_probs"),
            ("np.exp(-log_ratio) - 1 + log_ratio", "log_ratio"),
        ],
    },
    "08_many_turns": {
        "elapsed": [
            ("len(turns) - 1 - np.arange(len(turns))", "len(turns) - np.arange(len(turns))"),
            ("turns[-1] - turns", "turns"),
            ("turns[-1] - turns", "len(turns) - 1 - np.arange(len(turns))"),
            ("turns[-1] - turns", "turns[-1] - turns + 1"),
        ],
        "kind": [
            ("p / q", "q / p"),
            ("(m - n)", "(n - m)"),
            ("(m - n)", "m"),
            ("(1 / (m - n))", "(m - n)"),
        ],
        "turns": [
            ("earned + ", ""),
            ("values[1:] - values[:-1]", "values[:-1] - values[1:]"),
            ("earned + values[1:] - values[:-1]", "earned - values[:-1]"),
            ("return advantages[turns]", "return advantages"),
            ("np.bincount(turns, rewards)", "np.full(len(values) - 1, rewards.sum())"),
        ],
    },
    "09_sb3": {
        "first": [
            ("math.log(1 - q) / math.log(1 - p)", "math.log(1 - p) / math.log(1 - q)"),
            ("math.log(1 - q) / math.log(1 - p)", "q / p"),
            ("math.log(1 - q)", "math.log(q)"),
        ],
        "masked": [
            (" - logits[legal].max()", ""),
            ("np.where(legal, np.exp(logits - logits[legal].max()), 0.0)", "np.exp(logits - logits[legal].max())"),
            ("odds / odds.sum()", "odds"),
            ("odds / odds.sum()", "odds / len(odds)"),
        ],
        "goal": [
            (">= goal", "> goal"),
            ("reached[0]", "reached[-1]"),
            ("curve[reached[0], 0]", "reached[0]"),
            ("math.inf", "curve[-1, 0]"),
        ],
    },
    "10_referee": {
        "bias": [
            (" - policy @ expected", ""),
            ("policy @ expected", "expected.mean()"),
            (" - advantages", ""),
            ("(chances * estimates).sum(1)", "estimates.mean(1)"),
        ],
        "turns": [
            (
                "return np.where(reached, to_go - others, 0.0)",
                "others = (earned.sum(0) - earned) / np.maximum(reached.sum(0) - reached, 1)\n"
                "    return np.where(reached, earned - others, 0.0)[:, ::-1].cumsum(1)[:, ::-1]",
            ),
            ("(to_go.sum(0) - to_go) / (len(to_go) - 1)", "to_go.mean(0)"),
            ("to_go = earned[:, ::-1].cumsum(1)[:, ::-1]", "to_go = earned"),
            (
                "to_go = earned[:, ::-1].cumsum(1)[:, ::-1]",
                "to_go = earned.sum(1, keepdims=True) + np.zeros(earned.shape)",
            ),
        ],
        "grpo": [
            (" * size / (size - 1)", ""),
            ("size / (size - 1)", "(size - 1) / size"),
            (" * size / (size - 1)", " * size / (size - 1) / lengths"),
            (" * size / (size - 1)", " * size / (size - 1) / (returns.std() + 1e-6)"),
            ("np.bincount(groups)[groups]", "len(groups)"),
        ],
    },
}


def execute(notebook, folder):
    """Run the notebook in a kernel of this interpreter, with nobody's Jupyter settings; raises where a cell does."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
            patch.setenv(name, str(folder / name.lower()))
        patch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
        patch.setenv("PYTHONWARNINGS", "ignore:IProgress not found")  # tqdm's, without ipywidgets
        # Without folders to look in there is one kernel, "python3", and it is sys.executable's.
        config = Config(KernelSpecManager={"kernel_dirs": []})
        resources = {"metadata": {"path": str(ROOT / "notebooks")}}
        options = {"timeout": 300, "record_timing": False, "coalesce_streams": True}
        client = NotebookClient(notebook, kernel_name="python3", config=config, resources=resources, **options)
        client.execute()
    return notebook


def by_id(notebook):
    return {cell["id"]: cell for cell in notebook.cells}


def exercises(notebook):
    return [id.removeprefix("exercise-") for id in by_id(notebook) if id.startswith("exercise-")]


def solution(notebook, name):
    (code,) = re.findall(
        r"^```python\n(.*?)^```$", by_id(notebook)[f"solution-{name}"].source, re.DOTALL | re.MULTILINE
    )
    return code


def printed(cell):
    return "".join(output.text for output in cell.outputs if output.output_type == "stream" and output.name == "stdout")


def shown(cell):
    """What a cell shows, as far as it is the same on every machine: all texts, and which pictures there are."""
    streams, rest = {}, []
    for output in cell.outputs:
        if output.output_type == "stream":
            streams[output.name] = streams.get(output.name, "") + output.text
        else:
            texts = {kind: data for kind, data in output.data.items() if not kind.startswith("image/")}
            rest.append((output.output_type, texts, sorted(output.data.keys() - texts.keys()), output.metadata))
    return streams, rest


MARKED = [pytest.param(path, marks=pytest.mark.slow) if path.stem in SLOW else path for path in NOTEBOOKS]


@pytest.fixture(scope="module", params=MARKED, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture(scope="module")
def saved(path):
    return nbformat.read(path, as_version=4)


@pytest.fixture(scope="module")
def run(saved, tmp_path_factory):
    """The notebook run as it stands, with a cell more at its end."""
    notebook = copy.deepcopy(saved)
    notebook.cells.append(nbformat.v4.new_code_cell(f"import sys\nprint([m for m in {HEAVY} if m in sys.modules])"))
    return execute(notebook, tmp_path_factory.mktemp("jupyter"))


def test_there_are_notebooks():
    assert NOTEBOOKS


def test_it_runs_as_it_stands_and_exercises_are_not_yet_done(run):
    names = exercises(run)
    assert names
    for name in names:
        assert printed(by_id(run)[f"check-{name}"]).startswith("not yet: "), name


def test_it_needs_no_heavy_package(run, path):
    if path.stem in TRAINS_A_MODEL:
        assert "torch" in printed(run.cells[-1]), "it trains no model: take it off the list"
    else:
        assert printed(run.cells[-1]).strip() == "[]"


def test_saved_outputs_are_those_of_the_code(saved, run, path):
    for before, now in zip(saved.cells, run.cells, strict=False):
        if before.cell_type == "code" and "output-varies" not in before.metadata.get("tags", ()):
            fix = f"cell {before['id']!r} gives something else: run python tests/project/{Path(__file__).name}"
            assert shown(before) == shown(now), fix
            assert all(output.get("name") != "stderr" for output in now.outputs), before["id"]


def test_the_saved_file_is_clean(saved, path):
    nbformat.validate(saved)
    assert path.stat().st_size < 300_000
    counts = [cell.execution_count for cell in saved.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1)), "cells were run out of order"
    assert set(saved.metadata) == {"kernelspec", "language_info"}
    assert saved.metadata.language_info == {"name": "python"}, "a version makes a diff at each run"
    for cell in saved.cells:
        assert set(cell.metadata) <= {"tags", "jupyter"}, f"{cell['id']}: {cell.metadata}"
        assert all(output.output_type != "error" for output in cell.get("outputs", ())), cell["id"]
    for leak in (str(ROOT), str(Path.home()) + "/", sys.prefix, "/tmp/"):
        assert leak not in json.dumps(saved), f"a path of a machine: {leak}"


def test_each_exercise_has_a_check_a_solution_and_wrong_answers(saved, path):
    ids, names = by_id(saved), exercises(saved)
    for name in names:
        assert {f"check-{name}", f"solution-{name}"} <= ids.keys(), name
        compile(solution(saved, name), f"solution-{name}", "exec")
    assert set(names) == set(WRONG[path.stem])


def test_checks_accept_the_solution_and_refuse_wrong_answers(saved, path, tmp_path):
    notebook, verdicts = copy.deepcopy(saved), []
    for name in exercises(saved):
        at = [cell["id"] for cell in notebook.cells].index(f"check-{name}")
        check = notebook.cells[at]
        right, cells = solution(saved, name), []
        answers = [(right.replace(*edit), "not yet: ") for edit in WRONG[path.stem][name]]
        assert all(answer != right for answer, _ in answers), f"{name}: an edit that changes nothing"
        for answer, verdict in [*answers, (right, "right!\n")]:
            again = nbformat.v4.new_code_cell(check.source)
            cells += [nbformat.v4.new_code_cell(answer), again]
            verdicts.append((name, answer, verdict, again["id"]))
        notebook.cells[at:at] = cells
    execute(notebook, tmp_path)
    ids = by_id(notebook)
    for name, answer, verdict, id in verdicts:
        assert printed(ids[id]).startswith(verdict), f"{name}: {printed(ids[id])!r} is the verdict on\n{answer}"
        assert "Traceback" not in printed(ids[id])
    for name in exercises(saved):  # the notebook's own check comes last, after the solution
        assert printed(ids[f"check-{name}"]) == "right!\n", name


def save_outputs(path, folder):
    """Run a notebook and save it with what it shows, and without what differs from machine to machine."""
    notebook = execute(nbformat.read(path, as_version=4), folder)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {key: cell.metadata[key] for key in ("tags", "jupyter") if key in cell.metadata}
    nbformat.write(notebook, path)


if __name__ == "__main__":
    import tempfile

    chosen = [path for path in NOTEBOOKS if path.stem in sys.argv[1:]] if sys.argv[1:] else NOTEBOOKS
    for each in chosen:
        with tempfile.TemporaryDirectory() as scratch:
            save_outputs(each, Path(scratch))
        print(f"{each.relative_to(ROOT)}: {os.path.getsize(each):,} bytes")
