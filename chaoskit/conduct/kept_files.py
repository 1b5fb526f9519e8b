"""Checks what a command may write, and keeps the files that it changes, as its user.

Rules: a directory is writable by request only if it is the user's own and none of the system's; `--out` is made and
written with the rights of the command's user, who may be the caller of sudo.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chaoskit import crash_report
from chaoskit.conduct.changes import copy_files, find_changes
from chaoskit.conduct.hosts.host_programs import FOLDER
from chaoskit.conduct.sudo_caller import Caller
from chaoskit.conduct.user_command import Command
from chaoskit.conduct.workspace import Collected, Workspace
from chaoskit.errors import CrashError, RefusedError, SpecError
from chaoskit.folder import Folder, why_not_written
from chaoskit.terminal import complain
from chaoskit.units import counted

_SYSTEM = ("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "sys", "usr")
_SHARED = ("/", "/home", "/media", "/mnt", "/opt", "/root", "/srv", "/var")
_TEMPORARY = ("/tmp", "/var/tmp")
_SHOWN = 3  # names in a sentence


@dataclass(frozen=True)
class FileOptions:
    """Options of the user: where changed files are copied to, and which directories are written themselves."""

    out: Path | None = None
    writable: tuple[Path, ...] = ()

    def checked(self, directory: Path) -> FileOptions:
        """The same with real paths, for a command in this working directory. Raises SpecError."""
        writable = tuple(map(_writable, self.writable))
        if self.out is not None and (directory == Path("/") or any(map(directory.is_relative_to, writable))):
            by = "--writable" if writable else "the root directory"
            raise SpecError(
                f"--out copies what changes in the working directory, and {by} leaves nothing to copy: "
                + ("remove one of them" if writable else "cd to a directory of your own")
            )
        return FileOptions(self.out, writable)


def _writable(path: Path) -> Path:
    """The real path of a directory that a command may write. Raises SpecError."""
    name = f"--writable {shlex.quote(str(path))}"
    try:
        real = path.resolve(strict=True)
        owner = real.stat().st_uid
    except OSError as error:
        raise SpecError(f"{name}: {error.strerror}; mkdir {shlex.quote(str(path))}") from None
    if not real.is_dir():
        raise SpecError(f"{name} is no directory: give the directory that it is in")
    if str(real) in _TEMPORARY:
        raise SpecError(f"{name} is everybody's: give a directory in it (/tmp itself is always writable)")
    if str(real) in _SHARED or real.parts[1] in _SYSTEM:
        raise SpecError(f"{name} belongs to the system: give a directory of your own")
    if owner != os.geteuid():
        raise SpecError(
            f"{name} is owned by user {owner}: give a directory of your own, or start chaoskit as that user"
        )
    return real


class OutFolder:
    """The directory for changed files, made and opened as the command's user. A context manager."""

    def __init__(self, path: Path, caller: Caller | None) -> None:
        self._path, self._caller = path, caller
        if reason := _as_user(caller, lambda: _make(path)):
            raise RefusedError(f"--out {path} cannot be written ({reason}): give another directory")
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> OutFolder:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def fill(self, collect: Callable[[int], Collected]) -> Collected:
        """Run `collect` on it, as the user."""
        found = _as_user(self._caller, lambda: asdict(collect(self.fd)))
        return collected(found)

    def fill_from(self, folder: int) -> tuple[str, ...]:
        """Copy all that is in a folder of this process's user into it. Returns why some could not be copied."""
        if self._caller is not None:
            for _, folders, files, descriptor in os.fwalk(".", dir_fd=folder):
                for name in (".", *folders, *files):
                    os.chown(name, self._caller.uid, self._caller.gid, dir_fd=descriptor, follow_symlinks=False)
        return self.fill(
            lambda target: Collected(failed=tuple(copy_files(find_changes(folder, None).changed, folder, target)))
        ).failed


def here(command: Command, files: FileOptions, run: Callable[[Workspace | None], int]) -> int:
    """Run a command in this kernel: in its real directories or, for `--out`, in an overlay. Returns its exit code."""
    if files.out is None:
        return run(None)
    with OutFolder(files.out, command.caller) as out:
        workspace = Workspace(Path.cwd(), files.writable)
        try:
            code = run(workspace)
            found = out.fill(workspace.collect)
        finally:
            workspace.close()
    for sentence in report(found, files.out):
        complain(sentence)
    return code


def keep_logs(run: Path, out: OutFolder) -> list[str]:
    """Copy the logs of a lab's hosts from their run directory. Returns sentences for the user."""
    if not (run / FOLDER).is_dir():
        return []
    apart = run / "kept"
    apart.mkdir()
    (run / FOLDER).rename(apart / FOLDER)
    with Folder.open(apart) as opened:
        failed = out.fill_from(opened.fd)
    return [f"not copied: {_names(failed)}"] if failed else []


def report(found: Collected, out: Path | None) -> list[str]:
    """Sentences for the user about the changes of a command in its working directory."""
    told = []
    if found.changed and out is None:
        told.append(f"{_files(found.changed)} thrown away; to keep {_it(found.changed)}: --out DIR, or --writable .")
    elif found.changed:
        told.append(f"{_files(found.changed)} copied to {out}")
    if found.deleted and out is not None:
        told.append(f"deleted by the command, and left alone in {out}: {_names(found.deleted)}")
    if found.failed:
        told.append(f"not copied: {_names(found.failed)}")
    if found.is_full:
        told.append("there was no more room in memory for changed files: --writable . writes to the directory itself")
    return told


def _files(paths: tuple[str, ...]) -> str:
    folders = tuple(path for path in paths if path.endswith("/"))
    files = tuple(path for path in paths if path not in folders)
    told = [f"{counted(len(files), 'changed file')} ({_names(files)})"] if files else []
    if folders:
        told.append(f"{len(folders)} empty director{'y' if len(folders) == 1 else 'ies'} ({_names(folders)})")
    return f"{' and '.join(told)} {'was' if len(paths) == 1 else 'were'}"


def _it(paths: tuple[str, ...]) -> str:
    return "it" if len(paths) == 1 else "them"


def _names(paths: tuple[str, ...]) -> str:
    """A few of them; first those that are not hidden or in a hidden folder."""
    ordered = sorted(paths, key=lambda path: any(part.startswith((".", "__")) for part in path.split("/")))
    more = len(ordered) - _SHOWN
    return ", ".join(ordered[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def collected(found: Any) -> Collected:
    """From JSON, which may come from a guest. Raises RefusedError for anything else."""
    match found:
        case {"changed": [*changed], "deleted": [*deleted], "failed": [*failed], "is_full": bool(is_full)} if all(
            isinstance(each, str) for each in (*changed, *deleted, *failed)
        ):
            return Collected(tuple(changed), tuple(deleted), tuple(failed), is_full)
    raise RefusedError("the guest's list of changed files is damaged: nothing was copied")


def _make(path: Path) -> str:
    """Make it. Returns why that failed."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return why_not_written(path, error)
    return "" if os.access(path, os.W_OK | os.X_OK) else os.strerror(13)


def _as_user(caller: Caller | None, work: Callable[[], Any]) -> Any:
    """What `work` returns, which must be JSON, done as this user."""
    if caller is None:
        return work()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 0
        try:
            os.close(reader)
            caller.become()
            with open(writer, "w") as pipe:  # noqa: PTH123  a descriptor, not a path
                json.dump(work(), pipe)
        except BaseException as error:  # noqa: BLE001  the last frame of a process: it must end by _exit
            code = crash_report.print_report(error)
        finally:
            os._exit(code)
    os.close(writer)
    with open(reader) as pipe:  # noqa: PTH123  a descriptor, not a path
        text = pipe.read()
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        raise CrashError("a mistake in chaoskit ended the copying of changed files, see above")
    return json.loads(text)
