"""The package as it is installed: every sub-package listed, dependencies one way, light to import."""

import ast
import configparser
import importlib
import importlib.metadata
import pkgutil
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from paths import ROOT

PACKAGES = ("envs", "agents", "benchmarks")
#: What the judge's sandboxed interpreters run, under a name of its own: the standard library is all they have.
INSIDE = Path("envs/judge/inside")
HEAVY = ("torch", "transformers", "sympy", "datasets", "math_verify", "stable_baselines3", "matplotlib", "pandas")

#: The sub-packages that each may import besides itself, from the lowest up; a module beside them counts as one. The
#: exports of a package (`textmdp.envs`, `textmdp.agents`) stand above everything that they are made of.
MAY_IMPORT = {
    "envs.tokenizers": "",
    "envs.answers": "",
    "envs.judge": "",
    "envs.core": "envs.tokenizers",
    "envs.data": "envs.core envs.tokenizers",
    "envs.views": "envs.core envs.tokenizers",
    "envs.rewards": "envs.core envs.tokenizers envs.answers",
    "envs.tasks": "envs.core envs.data envs.tokenizers envs.answers envs.judge envs.rewards",
    "envs.registration": "envs.core envs.tokenizers envs.views envs.rewards",
    "envs": "envs.core envs.tokenizers envs.views envs.rewards envs.registration",
    "envs.env_checker_tools": "envs.core envs.views envs.registration",
    "envs.env_checker": "envs.core envs.views envs.env_checker_tools",
    "agents.algorithms": "",
    "agents.kernels": "",
    "agents.rollouts": "",
    "agents.models": "agents.rollouts",
    "agents.inference": "agents.kernels agents.models agents.rollouts",
    "agents.evaluation": "agents.rollouts agents.inference agents.models",
    "agents.training": ("agents.algorithms agents.rollouts agents.models agents.inference agents.evaluation"),
    "agents.credit": "agents.algorithms agents.rollouts agents.models agents.inference",
    "agents.course": "agents.algorithms agents.credit",
    "agents.microscope": "agents.algorithms agents.rollouts agents.models agents.inference agents.credit",
    "agents.runs": (
        "agents.algorithms agents.rollouts agents.models agents.inference agents.evaluation agents.training"
    ),
    "agents.sb3": "agents.rollouts agents.models agents.inference",
    "agents.single_file": "",
    "agents": (
        "agents.algorithms agents.rollouts agents.models agents.inference agents.evaluation agents.training "
        "agents.credit agents.runs"
    ),
    "agents.cli": (
        "agents agents.algorithms agents.rollouts agents.models agents.inference agents.evaluation agents.training "
        "agents.credit agents.microscope agents.runs agents.sb3"
    ),
    "benchmarks": "agents",
}


def modules():
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT)


def imported(path):
    """The modules that a file imports, with whether it does so when it is itself imported."""
    tree = ast.parse((ROOT / path).read_text())
    top = set()
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            top.add(node)
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            if node.level == 1 and path.parent == INSIDE:
                continue
            assert node.level == 0, f"{path}: relative imports make a module importable twice"
            names = [node.module]
        for name in names:
            yield name, node in top


def dotted(path):
    """`textmdp.envs.core.task` of envs/core/task.py, `textmdp.envs` of envs/__init__.py."""
    return ".".join(["textmdp", *path.with_suffix("").parts]).removesuffix(".__init__")


@pytest.fixture(scope="module")
def graph():
    """The modules of ours that each module imports, anywhere in its code; those of the sandbox are left out."""
    names = {dotted(path): path for path in modules() if path.parent != INSIDE}
    found = {}
    for module, path in names.items():
        targets = set()
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                members = {f"{node.module}.{alias.name}" for alias in node.names}
                targets |= {member if member in names else node.module for member in members}
        found[module] = targets & names.keys() - {module}
    return found


def sub_package(module):
    """`envs.core` of `textmdp.envs.core.task`; `envs` of `textmdp.envs`; `benchmarks` of all benchmarks."""
    parts = module.split(".")[1:]
    return parts[0] if parts[0] == "benchmarks" else ".".join(parts[:2])


def test_no_modules_import_each_other_in_a_circle(graph):
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_sub_packages_depend_one_way(graph):
    wrong = []
    for module, targets in graph.items():
        package = sub_package(module)
        allowed = {package, *MAY_IMPORT[package].split()}
        for target in sorted(targets):
            own = sub_package(target).partition(".")[0] == package.partition(".")[0]
            if own and sub_package(target) not in allowed:
                wrong.append(f"{module} imports {target}: {package} may import {MAY_IMPORT[package] or 'no other'}")
    assert wrong == []


def test_the_order_of_sub_packages_has_no_circle():
    TopologicalSorter({package: allowed.split() for package, allowed in MAY_IMPORT.items()}).prepare()


def test_every_sub_package_is_listed():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    found = {"textmdp." + str(path.parent).replace("/", ".") for path in modules() if path.name == "__init__.py"}
    holding_code = {"textmdp." + str(path.parent).replace("/", ".") for path in modules()}
    assert listed == found == holding_code


@pytest.mark.parametrize("path", list(modules()), ids=str)
def test_dependencies_point_one_way(path):
    allowed = {"envs": ("envs",), "agents": ("envs", "agents"), "benchmarks": PACKAGES}[path.parts[0]]
    for name, _ in imported(path):
        assert name.split(".")[0] not in PACKAGES, f"{path} imports the bare {name}"
        if name.startswith("textmdp."):
            assert name.split(".")[1] in allowed, f"{path} imports {name}: {path.parts[0]} may import {allowed}"


@pytest.mark.parametrize("path", [p for p in modules() if p.parts[0] == "envs"], ids=str)
def test_environments_import_nothing_heavy_at_the_top(path):
    # These run in a process of their own.
    worker = path.name in ("symbolic_worker.py", "sympy_leaf.py", "sample_points.py")
    for name, at_import in imported(path):
        assert name.split(".")[0] != "torch", f"{path} imports torch"
        assert worker or not (at_import and name.split(".")[0] in HEAVY), f"{path} imports {name} at the top"


@pytest.mark.parametrize("path", [p for p in modules() if p.parent == INSIDE], ids=str)
def test_what_runs_in_the_sandbox_needs_the_standard_library_alone(path):
    for name, _ in imported(path):
        assert name.split(".")[0] in sys.stdlib_module_names, f"{path} imports {name}"


@pytest.mark.parametrize("path", list(modules()), ids=str)
def test_no_module_is_named_like_the_standard_library_s(path):
    assert path.stem not in sys.stdlib_module_names


def test_every_module_imports_and_has_a_docstring():
    for package in PACKAGES:
        package = importlib.import_module(f"textmdp.{package}")
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not module.name.endswith("__main__"):
                assert importlib.import_module(module.name).__doc__, module.name


def test_importing_the_environments_is_light():
    code = f"import sys, textmdp.envs; print([m for m in {HEAVY} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT / "tests")
    assert result.stdout.strip() == "[]", result.stdout + result.stderr


def test_making_an_environment_is_light():
    code = (
        "import sys, gymnasium as gym, textmdp.envs\n"
        "for id in ('TextMath-v0', 'TextGuessResponse-v0'):\n"
        "    env = gym.make(id); env.reset(seed=0)\n"
        "gym.make_vec('TextMath-v0', 4).reset(seed=0)\n"
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT / "tests")
    assert result.stdout.strip() == "[]", result.stdout + result.stderr


def test_bare_names_are_not_imported_by_the_tests():
    assert not {"envs", "agents", "benchmarks"} & set(sys.modules)


def test_the_version_is_the_metadata_s():
    assert importlib.metadata.version("textmdp").count(".") == 2
