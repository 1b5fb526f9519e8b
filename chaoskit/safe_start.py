"""Runs a module of chaoskit from wherever chaoskit lies: `python -P start.py PLACES MODULE WORD...`.

PLACES, separated by colons, are directories with modules; the first of them is chaoskit's own. They are searched last,
so that what lies beside chaoskit stands for no module of Python's; chaoskit alone is taken from there whatever else is
installed. Imports little, because inside a guest every import is slow.
"""

import runpy
import sys


def main() -> None:
    """Become the module."""
    _, places, *words = sys.argv
    home, *more = places.split(":")
    sys.path.insert(0, home)
    import chaoskit  # noqa: F401  from here and no other place

    del sys.path[0]
    sys.path += [place for place in (home, *more) if place not in sys.path]
    sys.argv = words
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
