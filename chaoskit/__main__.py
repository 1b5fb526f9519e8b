"""`python -m chaoskit` is `chaoskit`."""

from chaoskit.cli.main import main

main()
