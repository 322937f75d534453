"""Third-party modules for programs and tests: which are installed here, and where."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

#: What a module imports when it is first asked for, later than its files can be read.
_PARTS = {"numpy": ("fft", "linalg", "ma", "polynomial", "random", "testing")}


def located(modules: Iterable[str]) -> str:
    """The names of modules and the folders that they are in, as the JSON that a zygote gets; "" where there are none.

    None of them is imported in this process.

    Raises:
        TypeError, ValueError: where a name is no name of a module, or of one that the standard library has.
        ModuleNotFoundError: where one is not installed.
    """
    if isinstance(modules, str):
        raise TypeError(f'modules must be a list of names, such as ("{modules}",), not one string')
    names: list[str] = []
    folders: dict[str, None] = {}
    for name in modules:
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name):
            raise ValueError(f"modules: {name!r} is no name of a module, such as 'numpy' or 'numpy.linalg'")
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names:
            raise ValueError(f"modules: {name!r} is of the standard library, which programs have anyway")
        spec = importlib.util.find_spec(top)
        places = [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.origin else [])] if spec else []
        if not places:
            raise ModuleNotFoundError(
                f"modules: {name!r} is not installed for {sys.executable}, which runs the programs: "
                f"pip install {top}, or leave it out",
                name=name,
            )
        folders[str(Path(places[0]).resolve().parent)] = None
        names += [name, *(f"{name}.{part}" for part in _PARTS.get(name, ()))]
    return json.dumps({"names": list(dict.fromkeys(names)), "folders": list(folders)}) if names else ""
