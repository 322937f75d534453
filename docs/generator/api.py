"""Pages of the API: autodoc of every public name, a page a package."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import Any

from generator.docstrings import page_text

#: Packages without a page: those of tasks have one among the environments.
LEFT_OUT = ("textmdp.envs.tasks", "textmdp.envs.judge.inside")
#: Modules that have a page besides the packages with `__all__`. No package exports any of their names: viewcode links
#: the source of a module to one page alone.
MODULES = ("textmdp.envs.env_checker", "textmdp.agents.algorithms.losses")


def pages() -> dict[str, str]:
    """The pages of the folder `api` by file name, without the suffix."""
    found = {path.removeprefix("textmdp.").replace(".", "_"): importlib.import_module(path) for path in documented()}
    homes: dict[int, str] = {}  # the page of each object: one that is exported twice is documented once
    return {"index": index(found), **{name: page(name, module, homes) for name, module in found.items()}}


def documented() -> list[str]:
    """The modules that have a page: packages that name their exports, and `MODULES`."""
    found = list(MODULES)
    for root in ("textmdp.envs", "textmdp.agents"):
        package = importlib.import_module(root)
        inner = [module.name for module in pkgutil.walk_packages(package.__path__, f"{root}.") if module.ispkg]
        packages = [name for name in (root, *inner) if not name.startswith(LEFT_OUT)]
        found += [name for name in packages if hasattr(importlib.import_module(name), "__all__")]
    return sorted(found, key=lambda path: (not path.startswith("textmdp.envs"), path))


def index(found: dict[str, ModuleType]) -> str:
    """The list of the pages."""
    lines = ["# API", "", "Public names of the packages, with their types, from the docstrings.", ""]
    for name, module in found.items():
        lines.append(f"- [`{module.__name__}`]({name}.md): {summary(module)}")
    entries = [f"{module.__name__.removeprefix('textmdp.')} <{name}>" for name, module in found.items()]
    return "\n".join([*lines, "", "```{toctree}", ":hidden:", "", *entries, "```", ""])


def page(file_name: str, module: ModuleType, homes: dict[int, str]) -> str:
    """The page of one module; what another page has is linked."""
    parts = [f"# `{module.__name__}`", "", summary(module), ""]
    for name in public_names(module):
        home = homes.setdefault(id(getattr(module, name)), file_name)
        parts += [entry(module, name) if home == file_name else f"`{name}`: see [`{home}`]({home}.md).", ""]
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
    """The first paragraph of a module's docstring, in one line."""
    return " ".join(inspect.cleandoc(module.__doc__ or "").partition("\n\n")[0].split())


def as_markdown(path: str) -> str:
    """The documentation of an object without Sphinx: signature and docstring, for a class those of its methods too."""
    module, _, name = path.rpartition(".")
    value = getattr(importlib.import_module(module), name)
    if not callable(value):
        return f"## `{name}`\n\n`{path}`, of type `{type(value).__name__}`."
    parts = [f"## `{name}{_signature(value)}`", page_text(inspect.getdoc(value) or "")]
    if inspect.isclass(value):
        for method, member in vars(value).items():
            member = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
            if isinstance(member, property) and not method.startswith("_"):
                parts += [f"### `{name}.{method}`", page_text(inspect.getdoc(member) or "")]
            elif inspect.isfunction(member) and not method.startswith("_"):
                parts += [f"### `{name}.{method}{_signature(member)}`", page_text(inspect.getdoc(member) or "")]
    return "\n\n".join(part for part in parts if part)


class _Annotation(str):
    """An annotation that is shown without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def _signature(value: Any) -> str:
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):  # some classes in C have none
        return "(…)"

    def plain(annotation: Any) -> Any:
        annotation = getattr(annotation, "__forward_arg__", annotation)
        return _Annotation(annotation) if isinstance(annotation, str) else annotation

    parameters = [p.replace(annotation=plain(p.annotation)) for p in signature.parameters.values()]
    return str(signature.replace(parameters=parameters, return_annotation=plain(signature.return_annotation)))
