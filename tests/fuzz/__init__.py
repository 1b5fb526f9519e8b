"""Fuzzes every part of chaoskit that takes untrusted input.

| file         | holds                                                                  |
|--------------|------------------------------------------------------------------------|
| `target.py`  | the definition of a target, and the loop that runs it                  |
| `mutate.py`  | mutations of bytes, JSON and YAML                                      |
| `files.py`   | targets: the files that people write, and those that others may write |
| `streams.py` | targets: input from the network                                        |
| `client.py`  | target: the reference server, with hostile clients                     |
| `cases/`     | input that revealed a bug once, a directory for each target            |

To add a target: define a `Target` in one of these files, and list it in `TARGETS` of `__main__.py`.
"""
