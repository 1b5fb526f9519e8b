"""Runs a module of chaoskit with a safe import path: `python -P safe_start.py DIRECTORIES MODULE`.

DIRECTORIES, separated by colons, contain modules; the first one is chaoskit's own. They are searched last, so that a
file beside chaoskit does not replace a module of Python; only chaoskit itself is always imported from there. Imports
little, because every import is slow inside a guest.
"""

import runpy
import sys


def main() -> None:
    """Run the module as `__main__`."""
    _, directories, *arguments = sys.argv
    home, *more = directories.split(":")
    sys.path.insert(0, home)
    import chaoskit  # noqa: F401  always from this directory

    del sys.path[0]
    sys.path += [directory for directory in (home, *more) if directory not in sys.path]
    sys.argv = arguments
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
