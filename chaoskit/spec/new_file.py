"""Makes a new experiment file from an included one, and writes it with what its hosts need.

Rules: an existing file is written over only if that was asked for, and then by a rename, so that it is there in full,
before or after; what is written is valid; the experiment is written last.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from chaoskit.errors import RefusedError, SpecError
from chaoskit.folder import why_not_written
from chaoskit.spec.examples import beside, example, example_path
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.matrix import parse_variants
from chaoskit.spec.stage import InterfaceStage, ServiceStage, Stage
from chaoskit.spec.vendors import protocol_at, vendor_of

LAB_GATE, ENDPOINT_GATE = "release-gate", "endpoint-gate"
_SUFFIXES = (".yaml", ".yml")
_PLAIN_WORD = re.compile(r"[\w:/.~%?=&+,;-]*[\w/.~%?=&+,;-]")  # a YAML text that needs no quotes
_OPTIONS = {
    "name": "NAME",
    "stage.target": "--endpoint",
    "stage.model": "--model",
    "stage.key-env": "--api-key-env",
    "workload.protocol": "--protocol",
}
_KEY_OF_A_KEY = re.compile(r"(?<![\w-])key-env\b")


@dataclass(frozen=True)
class NewFile:
    """What is asked for: a gate in a lab, a gate for the endpoint at `url`, or a copy of an `example`.

    `name` is that of the experiment, or of its file; None: that of the gate or the example. `protocol`, `model` and
    `key_env` are what the URL's path or vendor says where they are not given.
    """

    name: str | None = None
    url: str | None = None
    model: str | None = None
    key_env: str | None = None
    protocol: str | None = None
    example: str | None = None

    @property
    def path(self) -> Path:
        """The path of the new file."""
        path = Path(self.name or self._source)
        return path if path.suffix in _SUFFIXES else path.with_name(f"{path.name}.yaml")

    def text(self) -> str:
        """The text of the new file.

        Raises SpecError for an unknown example, for a name that cannot be one, and for an endpoint that cannot be one
        or whose URL holds a secret.
        """
        text = example(self._source)
        vendor = vendor_of(self.url) if self.url else None
        words = {
            "  target": self.url,
            "  model": self.model or (vendor.model if vendor else None),
            "  key-env": self.variable,
            "  key-header": vendor.key_header if vendor and self.variable else None,
            "  protocol": self.protocol or (protocol_at(self.url) if self.url else None),
        }
        if self.name is not None:
            words["name"] = self.path.stem
        for key, word in words.items():
            text = text if word is None else _with(text, key, word)
        if self.name is not None or self.url is not None:
            self._check(text)
        return text

    def _check(self, text: str) -> None:
        """Raises SpecError that names options and not lines: the file is not written."""
        place = example_path(self._source).with_name(self.path.name)  # where the files are that it names
        try:
            parse_variants(text, str(place))
        except SpecError as error:
            lines = (line.removeprefix(f"{place}:").split(": ", 2) for line in str(error).splitlines())
            told = "\n".join(f"{_OPTIONS.get(key, key)}: {told}" for _, key, told in lines)
            raise SpecError(_KEY_OF_A_KEY.sub(_OPTIONS["stage.key-env"], told)) from None

    def needed(self) -> dict[Path, bytes]:
        """The files that it needs, beside it: of its hosts, and its trace. Raises SpecError as `text` does."""
        hosts = [host for stage in self._stages() if isinstance(stage, ServiceStage) for host in stage.hosts.values()]
        traces = (
            Path(each.workload.trace.file).name for each in self._experiments() if each.workload.trace is not None
        )
        names = dict.fromkeys((*(name for host in hosts for name in host.files), *traces))
        return {self.path.parent / name: content for name, content in beside(self._source, names).items()}

    @property
    def is_for_endpoint(self) -> bool:
        """Whether it is about a real endpoint, and so takes root to run."""
        return any(isinstance(stage, InterfaceStage) for stage in self._stages())

    @property
    def variable(self) -> str | None:
        """The environment variable of the key, which a run needs."""
        vendor = vendor_of(self.url) if self.url else None
        return self.key_env or (vendor.key_env if vendor else None)

    def _experiments(self) -> list[Experiment]:
        text, place = example(self._source), example_path(self._source)
        return [each.experiment for each in parse_variants(text, str(place)).each]

    def _stages(self) -> list[Stage]:
        return [each.stage for each in self._experiments()]

    @property
    def _source(self) -> str:
        return self.example or (LAB_GATE if self.url is None else ENDPOINT_GATE)


def write(new: NewFile, is_forced: bool) -> tuple[Path, ...]:
    """Write the file and what it needs; the file is the first of what is returned.

    Raises SpecError where there is such a file already, and RefusedError where one cannot be written. What it needs may
    be there already, as it is.
    """
    files = {path: content for path, content in new.needed().items() if not _holds(path, content)}
    files |= {new.path: new.text().encode()}
    for path in files:
        if path.exists() and not is_forced:
            raise SpecError(f"{path} exists; choose another name, or --force to write over it")
    for path, content in files.items():
        if path != new.path:
            _make_folder(path)
        _write(path, content, is_forced)
    return tuple(reversed(files))


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def _make_folder(path: Path) -> None:
    """The folder of a file that is needed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RefusedError(f"cannot make {path.parent}: {why_not_written(path.parent, error)}") from None


def _write(path: Path, content: bytes, is_forced: bool) -> None:
    draft = path.with_name(f".{path.name}.new") if is_forced else path
    try:
        if is_forced:
            draft.unlink(missing_ok=True)
        with draft.open("xb") as file:
            file.write(content)
        draft.replace(path)
    except FileExistsError:
        raise SpecError(f"{path} exists; choose another name, or --force to write over it") from None
    except OSError as error:
        raise RefusedError(
            f"cannot write {path}: {why_not_written(path, error)}; give a path that you can write"
        ) from None


def _with(text: str, key: str, word: str) -> str:
    """The text in which the line of this key, commented out or not, has this word."""
    bare = key.lstrip()
    value = word if _PLAIN_WORD.fullmatch(word) else json.dumps(word)
    line = re.compile(rf"^{key.removesuffix(bare)}(?:# )?{bare}: (\S+ *)(#.*)?$", re.MULTILINE)
    return line.sub(lambda former: f"{key}: {_padded(value, former)}", text, count=1)


def _padded(value: str, former: re.Match[str]) -> str:
    """The value, and the comment behind the former one in its old place."""
    return value if former[2] is None else f"{value:{len(former[1]) - 1}} {former[2]}"
