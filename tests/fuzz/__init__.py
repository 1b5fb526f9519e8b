"""Searches for input that ends a part of chaoskit in a way that it does not promise.

| file         | holds                                                                  |
|--------------|------------------------------------------------------------------------|
| `target.py`  | what a target is, and the loop that tries it                           |
| `mutate.py`  | new input from old: of bytes, of trees                                 |
| `files.py`   | targets: the files that people write, and those that others may write |
| `streams.py` | targets: what comes from a network                                     |
| `client.py`  | target: the reference server, by hostile clients                       |
| `cases/`     | input that was a mistake once, a folder for each target                |

A further target is one `Target` in one of these files, and a name in `TARGETS` of `__main__.py`.
"""
