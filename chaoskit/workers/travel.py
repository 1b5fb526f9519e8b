"""Packs what a cell needs on another machine, and the run directory that comes back.

Rules: the experiment file travels, and each file below its folder that a value of it names as it stands, or as a word
of a command; what a program reads besides must be there. A run directory is unpacked into a new folder; nothing in
the archive can be written elsewhere (the filter `data` of tarfile).
"""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chaoskit.errors import RefusedError, SpecError
from chaoskit.spec.load import EXPERIMENT, parse_document, read_text
from chaoskit.workers.cell import Cell

MOST = 64 << 20  # bytes of all files of a cell
_LARGEST = 4 << 30  # bytes of a run directory


def packed(cell: Cell) -> dict[str, bytes]:
    """The files that it needs, by their paths from the experiment's folder. Raises SpecError: too large."""
    folder, text = cell.file.parent, read_text(cell.file, EXPERIMENT)
    words = parse_document(text, str(cell.file), EXPERIMENT).words
    found = {cell.file.name: text.encode()}
    for word in dict.fromkeys((*_words(words), *_words(cell.overrides))):
        path = folder / word
        is_below = word and not word.startswith(("/", "~")) and ".." not in Path(word).parts
        if is_below and len(word) < 4096 and path.is_file():
            found[str(Path(word))] = path.read_bytes()
    if (size := sum(map(len, found.values()))) > MOST:
        raise SpecError(
            f"{cell.file} and the files that it names are {size >> 20} MiB, and at most {MOST >> 20} travel"
        )
    return found


def _words(value: Any) -> Iterator[str]:
    """Every text in a value, and every word of it."""
    match value:
        case Mapping():
            for below in value.values():
                yield from _words(below)
        case list() | tuple():
            for below in value:
                yield from _words(below)
        case str():
            yield from (value, *value.split())


def unpack_files(files: Mapping[str, bytes], folder: Path) -> None:
    """Write these files into a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def archive(directory: Path) -> bytes:
    """The files of a run directory; b"" where there is none."""
    if not directory.is_dir():
        return b""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as tar:
        tar.add(directory, arcname=".")
    return file.getvalue()


def restore(packed_run: bytes, directory: Path) -> None:
    """Make a run directory of its archive. Raises RefusedError where that is damaged, or the disk is full."""
    if not packed_run:
        return
    try:
        with tarfile.open(fileobj=io.BytesIO(packed_run), mode="r:gz") as tar:
            if sum(member.size for member in tar.getmembers()) > _LARGEST:
                raise RefusedError(f"{directory.name} has more than {_LARGEST >> 30} GiB of records")
            directory.mkdir()
            tar.extractall(directory, filter="data")
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise RefusedError(f"the run directory {directory} did not come back whole: {error}") from error
