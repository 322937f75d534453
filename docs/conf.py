"""Settings of the documentation site: Sphinx with furo and MyST. `make docs` builds it."""

import importlib.metadata
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("NO_COLOR", "1")

project = "textmdp"
copyright = "the textmdp authors, Apache-2.0"
version = release = importlib.metadata.version("textmdp")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "generator.extension",
]
exclude_patterns = ["_build", "generator"]

# A reference that leads nowhere is a warning, and warnings are errors. References to other packages would need their
# inventories from the network; names of ours that no API page documents are details of the implementation.
nitpicky = True
# Names of attributes in docstrings, such as `lengths`, are looked up and found in several classes.
suppress_warnings = ["ref.python"]
nitpick_ignore_regex = [
    (r"py:.*", r"(?!textmdp\.).*"),
    (r"py:.*", r"textmdp\.(envs\.(core|views|rewards|tasks|data|tokenizers|answers|judge)|agents)\..*"),
]

# Notebooks show the outputs that are saved in them.
nb_execution_mode = "off"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist", "linkify", "substitution"]
myst_heading_anchors = 3
myst_linkify_fuzzy_links = False

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
python_maximum_signature_line_length = 100
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
default_role = "code"

html_math_renderer = "mathml"
html_theme = "furo"
html_title = "textmdp"
html_static_path = ["_static"]
html_css_files = ["textmdp.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
