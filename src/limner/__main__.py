"""`python -m limner`: the same as the `limner` command."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
