"""`python -m chaoskit` is `chaoskit`, and imports nothing more from the current directory.

Python itself searches that directory first for what it needs to get here (`runpy`), which only `python -P -m chaoskit`
keeps it from; the chaoskit command never searches it.
"""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]

from chaoskit import keyboard_interrupt


def main() -> None:
    """Entry point of the chaoskit command. Ctrl-C is handled before anything large is imported."""
    keyboard_interrupt.handle()
    from chaoskit.cli.main import main as run_command

    run_command()


if __name__ == "__main__":
    main()
