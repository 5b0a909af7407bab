"""The book as a site, from the notebooks' stored outputs; `make book` builds it. Nothing in it comes from outside."""

import importlib.util
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads(
    (ROOT / "pyproject.toml").read_text(encoding="utf-8")
)["project"]

project = "Deep Mutual Learning"
author = "The dml_teach contributors"
release = PROJECT["version"]
language = "en"

extensions = ["myst_nb"]
exclude_patterns = ["site", "recordings", "*.py", "**.ipynb_checkpoints"]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
html_theme = "sphinx_book_theme"
html_title = "Deep Mutual Learning"
html_context = {
    "default_mode": "auto"
}  # light or dark as the reader's system has it
html_copy_source = False
html_show_sourcelink = False
# One search box is enough; the theme would show a second one in an otherwise empty bar.
html_theme_options = {
    "navbar_start": [],
    "navbar_center": [],
    "navbar_end": [],
    "navbar_persistent": [],
}
# Formulas are set by MathJax from this site's own files; by default they would come from a server.
mathjax_package = importlib.util.find_spec("sphinx-mathjax-offline")
html_static_path = [str(Path(mathjax_package.origin).parent / "static")]
mathjax_path = "mathjax/tex-svg.js"
