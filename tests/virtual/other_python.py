"""The same Python and packages in another place, where others are imported at each start, which takes longer."""

from __future__ import annotations

import os
import sys
import sysconfig
import venv
from pathlib import Path

import chaoskit

_OTHERS = (
    "argparse, calendar, cmd, code, configparser, csv, decimal, difflib, doctest, email.mime.text, fractions, ftplib, "
    "gettext, gzip, html.parser, http.cookiejar, imaplib, lzma, mailbox, multiprocessing.pool, netrc, optparse, pdb, "
    "pickletools, plistlib, poplib, profile, pydoc, shelve, smtplib, sqlite3, statistics, tarfile, timeit, "
    "tracemalloc, unittest.mock, urllib.robotparser, uuid, wave, xml.dom.minidom, xml.etree.ElementTree, zipapp"
)
_SLOW = "import collections, time; collections.deque(map(lambda _, read=time.monotonic: read(), range(200_000)), 0)"
"""In virtual time each read of the clock takes 256 ns: 50 ms in all, longer than some timers of the kernel."""


def make(place: Path) -> Path:
    """The program of a virtual environment there."""
    venv.create(place, symlinks=True)
    (packages,) = place.glob("lib/python*/site-packages")
    (source,) = (Path(each).parent for each in chaoskit.__path__)
    (packages / "a.pth").write_text(f"import {_OTHERS}; {_SLOW}\n{source}\n{sysconfig.get_path('purelib')}\n")
    return place / "bin" / Path(sys.executable).name


ENVIRONMENT = {
    "LANG": "de_DE.UTF-8",
    "LC_ALL": "de_DE.UTF-8",
    "PATH": f"{os.environ['PATH']}:/nowhere",
    "LONG": "x" * 5000,
}
"""Variables that are other ones than here."""
