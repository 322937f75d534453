"""Pages of the API: autodoc of every public name, a page a package."""

from __future__ import annotations

import ast
import importlib
import inspect
from types import ModuleType

#: Pages: the title, and the modules whose public names it documents.
PAGES = {
    "envs": ("Environments", ["textmdp.envs", "textmdp.envs.env_checker"]),
    "answers": ("Answers", ["textmdp.envs.answers"]),
    "judge": ("Judge", ["textmdp.envs.judge"]),
    "agents": ("Agents", ["textmdp.agents"]),
    "algorithms": (
        "Advantages and losses",
        ["textmdp.agents.algorithms.advantages", "textmdp.agents.algorithms.losses"],
    ),
}


def pages() -> dict[str, str]:
    """The pages of the folder `api` by file name, without the suffix."""
    return {"index": index(), **{name: page(title, modules) for name, (title, modules) in PAGES.items()}}


def index() -> str:
    """The list of the pages."""
    lines = ["# API", "", "Public names of the packages, with their types, from the docstrings.", ""]
    for name, (title, modules) in PAGES.items():
        lines.append(f"- [{title}]({name}.md): {', '.join(f'`{module}`' for module in modules)}")
    return "\n".join([*lines, "", "```{toctree}", ":hidden:", "", *PAGES, "```", ""])


def page(title: str, modules: list[str]) -> str:
    """One page."""
    parts = [f"# {title}", ""]
    for path in modules:
        module = importlib.import_module(path)
        parts += [f"## `{path}`", "", summary(module), ""]
        for name in public_names(module):
            parts += [entry(module, name), ""]
    return "\n".join(parts)


def public_names(module: ModuleType) -> list[str]:
    """The names in `__all__`, or the functions and classes that the module defines."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    defined = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    return [name for name in defined if not name.startswith("_") and callable(getattr(module, name))]


def entry(module: ModuleType, name: str) -> str:
    """The autodoc directive of one name."""
    value = getattr(module, name)
    path = f"{imported_from(module).get(name, module.__name__)}.{name}"
    if inspect.isclass(value):
        kind = "autoexception" if issubclass(value, BaseException) else "autoclass"
        options = ["   :members:", "   :show-inheritance:"] if kind == "autoclass" else []
    elif callable(value):
        kind, options = "autofunction", []
    else:
        kind, options = "autodata", ["   :no-value:"]
    return "\n".join(["```{eval-rst}", f".. {kind}:: {path}", *options, "```"])


def imported_from(module: ModuleType) -> dict[str, str]:
    """The module of origin of each name that a module imports: documentation of data stands there alone."""
    tree = ast.parse(inspect.getsource(module))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module]
    return {
        alias.name: node.module
        for node in imports
        for alias in node.names
        if node.module
        and not inspect.isroutine(getattr(module, alias.name, None))
        and not inspect.isclass(getattr(module, alias.name, None))
    }


def summary(module: ModuleType) -> str:
    """The first paragraph of a module's docstring."""
    return inspect.cleandoc(module.__doc__ or "").partition("\n\n")[0]
