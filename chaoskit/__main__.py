"""`python -m chaoskit` is `chaoskit`, and imports nothing more from the current directory.

Python itself searches that directory first for what it needs to get here (`runpy`), which only `python -P -m chaoskit`
keeps it from; the chaoskit command never searches it.
"""

import sys

if not sys.flags.safe_path:
    del sys.path[0]

from chaoskit.cli.main import main

main()
