"""Building the book as a site, as `make book` does: a warning is an error."""

import subprocess
import sys
from pathlib import Path

from tools.notebooks import BOOK

COMMAND = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]


def build(html: Path, book: Path = BOOK) -> Path:
    """Build a book into a folder and return that."""
    command = [*COMMAND, "-c", str(book / "site"), "-d", str(html.parent / "doctrees"), str(book), str(html)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert built.returncode == 0, built.stderr
    return html
