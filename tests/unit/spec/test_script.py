"""How the server responds is written in a file, and each mistake in it is named."""

from pathlib import Path
from typing import Any

import pytest

from chaoskit.errors import SpecError
from chaoskit.server.deviations import Cut, ErrorEvent, Malformed, Pause, Refusal
from chaoskit.server.malformations import BY_NAME
from chaoskit.spec.examples import example
from chaoskit.spec.load import parse
from chaoskit.spec.script import responses
from chaoskit.units import Duration, Share

SECOND = 10**9
WHOLE = """
first-token: {median: 50ms, p99: 90ms}
token-interval: 5ms
tokens-per-event: 4
reasoning-tokens: 30
content-coding: gzip
pause: {after: 20 tokens, for: 70s, share: 5%}
malformed: [crlf, {name: two-json, share: 1%}]
error:
  - {status: 429, retry-after: 2s, share: 3%}
  - {after: 1 token}
cut: {after: 7, by: chunk}
"""


def written(tmp_path: Path, text: str) -> str:
    """A file with this text."""
    path = tmp_path / "script.yaml"
    path.write_text(text)
    return str(path)


def test_every_key_reaches_the_script(tmp_path: Path) -> None:
    """All keys of a file are in the script that the server follows; deviations stand in the order of their drawing."""
    script = responses(written(tmp_path, WHOLE), {}).script(7)

    assert (script.seed, script.tokens_per_event, script.reasoning_tokens, script.coding) == (7, 4, 30, "gzip")
    assert (script.first_token_median, script.first_token_p99) == (50 * 10**6, 90 * 10**6)
    assert script.pauses == (Pause(20, Duration(70 * SECOND), Share(50_000_000)),)
    assert script.deviations == (
        Malformed("crlf"),
        Malformed("two-json", Share(10_000_000)),
        Refusal(429, 2, Share(30_000_000)),
        ErrorEvent(1),
        Cut(7, "chunk"),
    )


def test_a_file_is_written_as_it_was_read(tmp_path: Path) -> None:
    """Written out and read again, a script is the same."""
    found = responses(written(tmp_path, WHOLE), {})

    assert type(found).model_validate(found.written()) == found
    assert type(found).model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize("name", BY_NAME)
def test_a_name_is_a_script(name: str) -> None:
    """Each malformation can be given by its name."""
    assert responses(name, {}).script(0).deviations == (Malformed(name),)


def test_options_come_before_the_file(tmp_path: Path) -> None:
    """An option replaces the file's key, and leaves the others."""
    script = responses(written(tmp_path, WHOLE), {"token-interval": "1ms", "first-token": "10ms"}).script(0)

    assert (script.token_interval, script.first_token_median, script.first_token_p99) == (10**6, 10**7, 9 * 10**7)
    assert script.tokens_per_event == 4


def test_an_experiments_server_is_a_script(tmp_path: Path) -> None:
    """Of an experiment file its `server:` counts; what tunes its host does not."""
    text = example("release-gate").replace(
        "\n  first-token:", "\n  maxseg: 1400\n  cut: {after: 3 tokens}\n  first-token:"
    )
    script = responses(written(tmp_path, text), {}).script(3)

    assert script.deviations == (Cut(3, "reset"),)
    assert script == parse(text, "x").server.script(3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pause: {after: 20 words, for: 1s}", "pause.after: '20 words' is not a number of tokens; write for example"),
        ("pause: {after: 2000000 tokens, for: 1s}", "pause.after: '2000000 tokens' is not a number of tokens"),
        ("pause: {after: 200000 tokens, for: 1s}", "pause.after: found '200000 tokens', expected 100000 or less"),
        ("pause: {after: 20 tokens}", "pause.for: missing; add for: ..."),
        ("pauses: {after: 20 tokens, for: 1s}", "pauses: unknown key; did you mean pause?"),
        ("error: {share: 5%}", "error: give either status (a refusal) or after (an error event)"),
        ("error: {status: 503, after: 3}", "error: give either status (a refusal) or after (an error event)"),
        ("error: {status: 200}", "error.status: found '200', expected 400 or more"),
        ("error: {after: 3, retry-after: 2s}", "error: retry-after needs status"),
        ("error: {status: 503, retry-after: 1500ms}", "error: retry-after is in whole seconds; found 1.5s"),
        ("cut: {after: 3 tokens, by: rst}", "cut.by: found 'rst', expected 'reset', 'close', 'chunk' or 'end'"),
        ("malformed: crl", "malformed: found 'crl', which is no malformation; did you mean crlf?"),
        ("malformed: xyzzy-17", "which is no malformation; all names: chaoskit serve --list"),
        ("malformed: [crlf, {name: empty, share: 200%}]", "malformed.1.share: '200%' is too large"),
        ("tokens-per-event: 0", "tokens-per-event: found '0', expected 1 or more"),
        ("content-coding: br", "content-coding: found 'br', expected 'identity', 'gzip' or 'deflate'"),
        ("", "empty; start with pause:"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, says: str) -> None:
    """A mistake is told with its place, what was found, and what was expected."""
    file = written(tmp_path, text)

    with pytest.raises(SpecError) as told:
        responses(file, {})

    assert str(told.value).startswith(f"{file}:1: ")
    assert says in str(told.value)


@pytest.mark.parametrize(
    ("script", "options", "says"),
    [
        ("hmtl-in-200", {}, "--script: 'hmtl-in-200' is neither a name nor a file; did you mean html-in-200?"),
        ("xyzzy", {}, "--script: 'xyzzy' is neither a name nor a file; all names: chaoskit serve --list"),
        ("there/is/none.yaml", {}, "there/is/none.yaml: No such file or directory; give the path of a script file"),
        (None, {"tokens-per-event": 0}, "--tokens-per-event: found '0', expected 1 or more"),
        (None, {"first-token": "1s", "first-token-p99": "400ms"}, "--first-token-p99 400ms is below --first-token 1s"),
    ],
)
def test_wrong_options_are_named(script: str | None, options: dict[str, Any], says: str) -> None:
    """So is a script that does not exist, and an option that is wrong."""
    with pytest.raises(SpecError) as told:
        responses(script, options)

    assert says in str(told.value)
