"""The package as it is installed: every sub-package listed, dependencies one way, light to import."""

import ast
import configparser
import importlib
import importlib.metadata
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

PACKAGES = ("envs", "agents", "benchmarks")
#: What the judge's sandboxed interpreters run, under a name of its own: the standard library is all they have.
INSIDE = Path("envs/judge/inside")
HEAVY = ("torch", "transformers", "sympy", "datasets", "math_verify", "stable_baselines3", "matplotlib", "pandas")


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
    worker = path.name in ("symbolic_worker.py", "sympy_leaf.py")  # they run in a process of their own
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
