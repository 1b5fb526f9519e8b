"""Shows in many formats what several runs gave together: a suite, a sweep, a search for a limit.

The names of the formats are those of runs (`formats`). What all of them do alike is here; each has a table of its own.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import BinaryIO, Generic, Protocol, TypeVar

from chaoskit.analysis import result_file
from chaoskit.errors import RefusedError, SpecError
from chaoskit.folder import display_path
from chaoskit.report import formats
from chaoskit.report.formats.destinations import STANDARD_OUTPUT, put_out, replace_file, write_each
from chaoskit.report.screen import Screen
from chaoskit.terminal import complain, note

_WIDTH = 100  # columns


class Ended(Protocol):
    """What was found, with the exit code that it means."""

    @property
    def exit_code(self) -> int:
        """As DESIGN.md says."""


Found = TypeVar("Found", bound=Ended)


@dataclass(frozen=True)
class Document(Generic[Found]):
    """A format: its file in the folder of what it shows, how it is written, and whether it is text.

    `needs`: the format of runs whose library it needs as well.
    """

    file: str
    write: Callable[[Found, BinaryIO], None]
    is_text: bool = True
    needs: str = ""

    def writer(self, found: Found, place: Path) -> Callable[[BinaryIO], None]:
        """What writes it into a file of the folder `place`, which only one with links has to know."""
        return partial(self.write, found)


@dataclass(frozen=True)
class Documents(Generic[Found]):
    """All formats of one `kind`, such as `a sweep`.

    `render` draws what was found on a screen, `line` says it in one, and `as_json` is all of it. `others` has the
    formats besides `console` and `json`. `is_folder` tells a folder of this kind, and `load` reads what was found from
    it; it raises SpecError.
    """

    kind: str
    is_folder: Callable[[Path], bool]
    load: Callable[[Path], Found]
    render: Callable[[Found, Screen], None]
    line: Callable[[Found], str]
    as_json: Callable[[Found], str]
    others: Mapping[str, Document[Found]]

    @cached_property
    def formats(self) -> Mapping[str, Document[Found]]:
        """By their names."""
        return {
            "console": Document("report.txt", self._write_text),
            "json": Document("report.json", lambda found, file: _write(self.as_json(found), file)),
            **self.others,
        }

    def chosen(self, names: Iterable[str], folder: Path | None = None) -> tuple[str, ...]:
        """Those of these names, each once; `folder` is what they are to show, if it is there already.

        Raises SpecError for a format that only runs have, and else as that of runs.
        """
        found = formats.chosen(names, self.formats)
        for name in found:
            if name not in self.formats:
                raise SpecError(f"{name} shows runs{self._why_not(name, folder)}{', '.join(self.formats)}")
            if needed := self.formats[name].needs:
                formats.chosen([needed])
        return found

    def _why_not(self, name: str, folder: Path | None) -> str:
        if folder is None:
            return f", and not {self.kind}, for which there are "
        run = next((each.parent for each in sorted(folder.glob(f"*/{result_file.NAME}"))), None)
        instead = f": chaoskit report {run} --format {name}" if run else ""
        return f", and {folder} is the folder of {self.kind}{instead}; of {self.kind} there are "

    def report(self, folders: Sequence[Path], names: Sequence[str], out: Path | None) -> int:
        """Show what is in this folder, which has to be the only one. Returns its exit code."""
        (folder, *others) = folders
        if others:
            raise SpecError(f"{folder} is the folder of {self.kind}, which is shown alone; leave out {others[0]}")
        names = self.chosen(names, folder)
        found = self.load(folder)
        self.show(found, names, out)
        return found.exit_code

    def show(self, found: Found, names: Sequence[str], out: Path | None) -> None:
        """Show it on the screen, on standard output, in a file, or in several. Raises as a report of runs."""
        (name, *more), document = names, self.formats[names[0]]
        if more:
            write_each({self.formats[each].file: partial(self._put, each, found) for each in names}, out)
        elif out is not None and out != STANDARD_OUTPUT:
            self._put(name, found, out)
            note(f"{out}: {self.line(found)}")
        elif name == "console":
            self.render(found, Screen())
        else:
            put_out(document.writer(found, Path()), document.file, document.is_text)

    def write_into(self, folder: Path, names: Iterable[str], found: Found) -> None:
        """Write these into its folder, and say so. The verdict counts without what cannot be written, too."""
        for name in names:
            path = folder / self.formats[name].file
            try:
                self._put(name, found, path)
            except (SpecError, RefusedError) as error:
                complain(f"no {path.name}: {error}")
            else:
                note(f"wrote {display_path(path)}")

    def _put(self, name: str, found: Found, path: Path) -> None:
        document = self.formats[name]
        replace_file(path, document.file, document.writer(found, path.parent))

    def _write_text(self, found: Found, file: BinaryIO) -> None:
        text = io.TextIOWrapper(file, "utf-8", "backslashreplace", write_through=True)
        self.render(found, Screen(text, _WIDTH))
        text.detach()


def _write(text: str, file: BinaryIO) -> None:
    file.write(text.encode("ascii"))
