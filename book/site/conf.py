"""The book as a site, from the notebooks' stored outputs; `make book` builds it. Nothing in it comes from outside.

The one setting is the repository's address, `[project.urls] Repository` in pyproject.toml. Where it is set, chapters
get launch buttons and tests lead to their source; where it is not, there is nothing that could lead astray.
"""

import importlib.util
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY = PROJECT.get("urls", {}).get("Repository", "").rstrip("/")
sys.path[:0] = [str(HERE), str(ROOT / "tools")]

project = "Deep Mutual Learning"
author = "The dml_teach contributors"
release = PROJECT["version"]
language = "en"
copyright = "the dml_teach contributors. Text: CC BY 4.0, code: MIT"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "course"]
exclude_patterns = ["site", "recordings", "*.py", "**.ipynb_checkpoints"]
nb_execution_mode = "off"
# Pages that show a widget, and no others, get what brings it to life without a kernel; by default that would come from
# a server.
nb_ipywidgets_js = {"widgets/anywidget-host.js": {"defer": "defer"}}
myst_enable_extensions = ["dollarmath", "amsmath", "attrs_inline", "colon_fence"]
myst_heading_anchors = 3

# The API page: docstrings in Google's style, types by their short names.
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_use_ivar = True
python_use_unqualified_type_names = True
add_module_names = False
highlight_language = "none"  # of listings that do not say what they are
default_role = "py:obj"  # docstrings put names into single backticks

html_theme = "sphinx_book_theme"
html_title = "Deep Mutual Learning"
html_favicon = "_static/favicon.svg"
html_css_files = ["course.css"]
html_js_files = ["course.js"]
html_context = {"default_mode": "auto"}  # light or dark as the reader's system has it
html_copy_source = False
html_show_sourcelink = False
# One search box is enough; the theme would show a second one in an otherwise empty bar. Its own download button leads
# to the sources, which are not on the site: `course` has another.
html_theme_options = {
    "navbar_start": [],
    "navbar_center": [],
    "navbar_end": [],
    "navbar_persistent": [],
    "use_download_button": False,
}
if REPOSITORY:
    html_theme_options |= {
        "repository_url": REPOSITORY,
        "repository_branch": "main",
        "path_to_docs": "book",
        "use_repository_button": True,
        "launch_buttons": {
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com" if "//github.com/" in REPOSITORY else "",
            "notebook_interface": "jupyterlab",
        },
    }
# Formulas are set by MathJax from this site's own files; by default they would come from a server.
mathjax_package = importlib.util.find_spec("sphinx-mathjax-offline")
html_static_path = ["_static", str(Path(mathjax_package.origin).parent / "static")]
mathjax_path = "mathjax/tex-svg.js"
