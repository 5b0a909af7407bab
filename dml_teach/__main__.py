"""`python -m dml_teach ...` is the command line."""

import sys

from dml_teach.cli import main

if __name__ == "__main__":
    sys.exit(main())
