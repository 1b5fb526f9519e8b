"""Tests new experiment files, and the experiments that they are made from."""

from __future__ import annotations

from pathlib import Path

import pytest
import shipped

from chaoskit.errors import RefusedError, SpecError
from chaoskit.spec.examples import example, example_lines, questions
from chaoskit.spec.load import load
from chaoskit.spec.matrix import load_variants
from chaoskit.spec.new_file import NewFile, write
from chaoskit.spec.stage import EdgeStage, InterfaceStage

FOLDER = Path(__file__).parents[3] / "experiments"
FILES = sorted(shipped.FILES, key=lambda path: path.stem)


def test_every_included_experiment_is_found_with_its_question() -> None:
    """The list has each file of experiments/, in the words of the file."""
    assert list(questions()) == [path.stem for path in FILES]
    for path, line in zip(FILES, example_lines(), strict=True):
        assert line.split(maxsplit=1) == [path.stem, load_variants(path).each[0].experiment.question]


@pytest.mark.parametrize("original", FILES, ids=lambda path: path.stem)
def test_a_copy_is_the_file_itself(original: Path, tmp_path: Path) -> None:
    """A copy of an included experiment under its own name differs in no byte, nor what its hosts need beside it."""
    new = NewFile(str(tmp_path / original.name), example=original.stem)

    path, *needed = write(new, is_forced=False)

    assert path.read_text() == original.read_text()
    for each in needed:
        assert each.read_bytes() == (original.parent / each.relative_to(tmp_path)).read_bytes()
    assert {path, *needed} == {each for each in tmp_path.rglob("*") if each.is_file()}
    is_on_interface = isinstance(load_variants(path).each[0].experiment.stage, InterfaceStage)
    assert new.is_for_endpoint == is_on_interface


def test_a_new_file_is_named_after_its_gate_or_as_asked() -> None:
    """Without a name the file is called like the gate; a name may have a folder, and an ending."""
    assert NewFile().path == Path("release-gate.yaml")
    assert NewFile(url="http://127.0.0.1:8000").path == Path("endpoint-gate.yaml")
    assert NewFile(example="vpn-presets").path == Path("vpn-presets.yaml")
    assert NewFile("chat").path == Path("chat.yaml")
    assert NewFile("gates/chat.yml").path == Path("gates/chat.yml")


def test_a_new_lab_gate_is_valid_and_has_its_name(tmp_path: Path) -> None:
    """What is written loads, under the name of its file, and keeps its comments."""
    (path,) = write(NewFile(str(tmp_path / "chat-gate")), is_forced=False)

    found = load(path)

    assert found.name == "chat-gate"
    assert isinstance(found.stage, EdgeStage)
    assert found.objectives
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("model", ["my-model", "org/model:7b", "odd: one # two", "12"])
def test_a_new_endpoint_gate_has_the_endpoint(model: str, tmp_path: Path) -> None:
    """URL, model and the key's variable stand in the file, whatever signs they have."""
    (path,) = write(
        NewFile(str(tmp_path / "mine"), "https://llm.example.com/v1/chat/completions", model, "MY_KEY"), is_forced=False
    )

    stage = load(path).stage

    assert isinstance(stage, InterfaceStage)
    assert (stage.target, stage.model, stage.key_env) == (
        "https://llm.example.com/v1/chat/completions",
        model,
        "MY_KEY",
    )


@pytest.mark.parametrize(
    ("url", "asked", "protocol"),
    [
        ("https://llm.example.com/v1/chat/completions", None, "openai-chat"),
        ("https://llm.example.com/v1/messages", None, "anthropic-messages"),
        ("https://llm.example.com/v1/messages/?beta=true", None, "anthropic-messages"),
        ("http://127.0.0.1:11434/api/chat", None, "ollama"),
        ("http://127.0.0.1:11434", "ollama", "ollama"),
        ("http://127.0.0.1:8000", None, "openai-chat"),
    ],
)
def test_the_protocol_is_that_of_the_path(url: str, asked: str | None, protocol: str, tmp_path: Path) -> None:
    """Each protocol has its usual path; another one is asked for. The line's comment stays in its place."""
    (path,) = write(NewFile(str(tmp_path / "mine"), url, protocol=asked), is_forced=False)

    assert load(path).workload.protocol == protocol
    (line,) = (line for line in path.read_text().splitlines() if line.startswith("  protocol: "))
    assert line.index("#") == 40


@pytest.mark.parametrize(
    ("new", "sentence"),
    [
        (NewFile("Chat_Gate"), "NAME: found 'Chat_Gate', expected lower-case letters"),
        (NewFile(url="not a url"), "--endpoint: found 'not a url', expected a URL"),
        (
            NewFile(url="https://llm.example.com/v1?api_key=sk-0123456789abcdef"),
            "--endpoint: this URL has what looks",
        ),
        (NewFile(url="http://127.0.0.1:8000", key_env="sk-0123456789"), "--api-key-env: not the name"),
        (NewFile(url="http://127.0.0.1:8000", protocol="grpc"), "--protocol: found 'grpc', expected"),
        (NewFile(example="no-such"), "no included experiment is named 'no-such'; there are\n"),
        (NewFile(example="../pyproject"), "no included experiment is named '../pyproject'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_is_refused(
    new: NewFile, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name, an endpoint or an example that cannot be is refused without a secret; nothing is written."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SpecError) as error:
        write(new, is_forced=True)

    assert sentence in str(error.value)
    assert "0123456789" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_bad_example_lists_the_good_ones() -> None:
    """Whoever types a wrong name reads all of them, with their questions."""
    with pytest.raises(SpecError) as error:
        example("los-first-token")

    assert str(error.value).split("\n")[1:] == example_lines()


def test_a_file_is_written_over_only_on_request(tmp_path: Path) -> None:
    """An existing file stays, and the message says how to replace it; forced, it is replaced, and nothing else is."""
    path = tmp_path / "gate.yaml"
    path.write_text("mine\n")

    with pytest.raises(SpecError, match="exists; choose another name, or --force"):
        write(NewFile(str(path)), is_forced=False)
    assert path.read_text() == "mine\n"
    write(NewFile(str(path)), is_forced=True)

    assert load(path).name == "gate"
    assert list(tmp_path.iterdir()) == [path]


def test_what_hosts_need_is_shared_and_never_lost(tmp_path: Path) -> None:
    """Two experiments that need one file share it; one of that name that differs stops them before any is written."""
    first, second = (
        NewFile(str(tmp_path / f"{name}.yaml"), example=name) for name in ("nginx-read-timeout", "nginx-buffering")
    )
    config = tmp_path / "nginx-untouched.conf"

    write(first, is_forced=False)
    written = write(second, is_forced=False)
    assert config not in written
    config.write_text("mine\n")
    second.path.unlink()
    with pytest.raises(SpecError, match=r"nginx-untouched\.conf exists; choose another name, or --force"):
        write(second, is_forced=False)

    assert config.read_text() == "mine\n"
    assert not second.path.exists()


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """Forced, a symbolic link gives way to the new file; what it points at is untouched."""
    other = tmp_path / "other"
    other.write_text("theirs\n")
    link = tmp_path / "gate.yaml"
    link.symlink_to(other)

    write(NewFile(str(link)), is_forced=True)

    assert other.read_text() == "theirs\n"
    assert not link.is_symlink()


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Where no file can be, the machine's reason is given."""
    with pytest.raises(RefusedError, match=r"cannot write .*/none/gate\.yaml: No such file or directory"):
        write(NewFile(str(tmp_path / "none" / "gate")), is_forced=False)


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    """What a host needs lies in folders of its own, which are made; another file is left as it is."""
    (tmp_path / "pipelines").write_text("theirs\n")

    with pytest.raises(RefusedError, match=r"cannot make .*/pipelines/support: Not a directory"):
        write(NewFile(str(tmp_path / "mine.yaml"), example="haystack-gateway"), is_forced=False)

    assert (tmp_path / "pipelines").read_text() == "theirs\n"
    assert not (tmp_path / "mine.yaml").exists()


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("loss-first-token", "or write it: chaoskit init --example loss-first-token"),
        ("experiments/vpn-presets.yaml", "or write it: chaoskit init --example vpn-presets"),
        ("mine.yaml", "or write one: chaoskit init"),
    ],
)
def test_a_file_that_is_not_there_can_be_written(
    name: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever names a file that is not there reads how to get one, an included one where it has that name."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SpecError) as error:
        load(Path(name))

    assert str(error.value) == f"{name}: No such file or directory; give the path of an experiment file, {command}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_comment_fits_in_a_copy_too(path: Path) -> None:
    """No included experiment tells the reader of a copy to copy it."""
    assert "copy this" not in path.read_text().lower()


@pytest.mark.parametrize(
    ("new", "told"),
    [
        (NewFile("My_Gate"), "NAME: found 'My_Gate', expected lower-case letters"),
        (NewFile("mine", url="not a url"), "--endpoint: found 'not a url', expected a URL such as"),
        (NewFile("mine", url="http://a.example", key_env="a key"), "--api-key-env: not the name of an environment"),
        (NewFile("mine", url="http://a.example", protocol="soap"), "--protocol: found 'soap', expected 'openai-chat'"),
        (NewFile("Mine", url="x"), "NAME: found 'Mine'"),
    ],
)
def test_a_wrong_option_is_named_and_no_line_of_a_file_that_is_not_there(new: NewFile, told: str) -> None:
    """The option, what was found, what was expected."""
    with pytest.raises(SpecError) as refused:
        new.text()

    assert str(refused.value).startswith(told)
    assert ".yaml:" not in str(refused.value)
