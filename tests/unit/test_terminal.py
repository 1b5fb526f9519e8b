"""Whatever text others give us, a terminal gets visible characters, plain spaces and our own line feeds."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
import unicodedata

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.terminal import SafeStream, ascii_json, ascii_only, printable, printable_lines, shortened

HOSTILE = {
    "\x1b[31mred": r"\x1b[31mred",
    "\x1b]0;title\x07": r"\x1b]0;title\x07",
    "\x9b31m": r"\x9b31m",
    "a\rb\nc\td\x7f": r"a\rb\nc\td\x7f",
    "\u202eabc\u202c \u2066x\u2069 \u200e\u200f\u061c": r"\u202eabc\u202c \u2066x\u2069 \u200e\u200f\u061c",
    "z\u200bw\u200cj\u200d\ufeff\u2060": r"z\u200bw\u200cj\u200d\ufeff\u2060",
    "\u2028\u2029\x85": r"\u2028\u2029\x85",
    "\U000e0041\U000e0001": r"\U000e0041\U000e0001",
    "\udce9\ud800": r"\udce9\ud800",
    "\ue000\U000f0000\u0378": r"\ue000\U000f0000\u0378",
    "\u3164\u115f\ufe0f\U000e0101": r"\u3164\u115f\ufe0f\U000e0101",
    "\xa0\u3000": r"\xa0\u3000",
    "a" + "\u0301" * 10: "a" + "\u0301" * 8 + r"\u0301\u0301",
}
LITERAL = [
    "<script>",
    "a|b",
    "=1+1",
    "[red]x[/red]",
    "[link=http://x]y[/link]",
    ":smile:",
    r"\x1b",
    "日本語 é שלום 🙂",
    "",
]
texts = st.text(st.characters() | st.sampled_from("\x1b\x9b\x07\r\n\t\x7f\u202e\u200b\ud800\U000e0041\u0301|=<["))


@pytest.mark.parametrize(("text", "shown"), HOSTILE.items(), ids=ascii)
def test_what_a_terminal_would_obey_or_hide_is_an_escape(text: str, shown: str) -> None:
    """Controls, escape sequences, bidi, zero-width, separators, tags, surrogates, unassigned, piles of marks."""
    assert printable(text) == shown


@pytest.mark.parametrize("text", LITERAL)
def test_what_is_harmless_on_a_terminal_stands_as_it_is(text: str) -> None:
    """Markup of other readers, other scripts, emoji, and the backslash."""
    assert printable(text) == text


@given(texts)
def test_any_text_is_one_visible_line(text: str) -> None:
    """No text has anything but visible characters and plain spaces in it, and escaping twice is escaping once."""
    shown = printable(text)

    assert all(sign == " " or unicodedata.category(sign)[0] not in "CZ" for sign in shown)
    assert printable(shown) == shown
    assert printable_lines(text).count("\n") == text.count("\n")


@given(texts)
def test_a_stream_lets_nothing_through_but_line_feeds(text: str) -> None:
    """In UTF-8, ASCII and Latin-1, whether it is written at once, printed, or line by line."""
    for encoding in ("utf-8", "ascii", "latin-1"):
        raw = io.BytesIO()
        stream = SafeStream(raw, encoding, "backslashreplace", newline="\n")

        stream.write(text)
        print(text, file=stream)
        stream.writelines([text, "\n"])
        stream.flush()

        written = raw.getvalue().decode(encoding)
        assert all(sign in " \n" or unicodedata.category(sign)[0] not in "CZ" for sign in written)


@given(st.recursive(texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner)))
def test_json_is_ascii_and_exact(value: object) -> None:
    """A program reads back what was written, and no byte of it is a control or above 126."""
    for text in (json.dumps(value, ensure_ascii=False), json.dumps(value, indent=1)):
        told = ascii_json(text)

        assert json.loads(told) == json.loads(text)
        assert set(told) <= set(map(chr, range(0x20, 0x7F))) | {"\n"}


def test_json_is_readable_as_yaml() -> None:
    """Also where DEL, which YAML forbids, stands in it."""
    assert yaml.safe_load(ascii_json(json.dumps({"a": "\x7f\xe9"}))) == {"a": "\x7f\xe9"}


def test_our_own_signs_have_plain_ones() -> None:
    """And all that has none is an escape, never a question mark."""
    assert ascii_only("1.8× ≈0 ▁█ é…") == r"1.8x ~0 _# \xe9.."


WRITES = {
    "say": "terminal.say(text)",
    "note": "terminal.note(text)",
    "complain": "terminal.complain(text)",
    "progress": "\nwith terminal.Progress() as p: p.show(text)",
    "print": "print(text)",
    "warning": "import warnings; warnings.warn(text)",
    "logging": "import logging; logging.getLogger('x').error(text)",
    "traceback": "\ntry: raise ValueError(text)\nexcept ValueError: import traceback; traceback.print_exc()",
    "screen": "from chaoskit.report.screen import Screen; Screen().print(text)",
    "bold": "from chaoskit.report.screen import Screen; Screen().print(text, style='bold red')",
    "table": """
from rich.table import Table; from rich.text import Text; from chaoskit.report.screen import Screen
table = Table(text, title=text); table.add_row(text); table.add_row(Text(text)); Screen().print(table)""",
    "live": """
from chaoskit.report.screen import Screen, cropped_line, live_display
with live_display(Screen()) or terminal.Progress() as shown:
    shown.update(cropped_line(text), refresh=True) if hasattr(shown, 'update') else shown.show(text)
    print(text)""",
}
ALL = "".join((*HOSTILE, *LITERAL))


def program(write: str) -> list[str]:
    """A Python that protects its streams, then writes all hostile text there is in one way."""
    return [sys.executable, "-c", f"from chaoskit import terminal; terminal.protect(); text = {ALL!r}\n{write}"]


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_no_way_of_writing_passes_a_control_to_a_pipe(write: str, encoding: str) -> None:
    """Ours, a library's, a warning, a traceback: what arrives has no control but line feeds."""
    environment = os.environ | {"PYTHONIOENCODING": encoding}

    done = subprocess.run(program(write), capture_output=True, env=environment, timeout=60, check=True)

    written = (done.stdout + done.stderr).decode(encoding)
    assert all(sign in " \n" or unicodedata.category(sign)[0] not in "CZ" for sign in written)
    assert "red" in written
    assert "<script>" in written
    assert "[link=http://x]" in written.replace("\n", "")


OURS = ("\x1b[1;31m", "\x1b[1m", "\x1b[3m", "\x1b[0m", "\x1b[K", "\x1b[2K", "\x1b[1A", "\x1b[?25l", "\x1b[?25h", "\r")


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_no_way_of_writing_passes_a_control_to_a_terminal(write: str) -> None:
    """But our own styles and cursor movements, which are few and known."""
    parent, child = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    with subprocess.Popen(
        program(write), stdout=child, stderr=child, env=environment | {"TERM": "xterm", "COLUMNS": "80"}
    ) as process:
        os.close(child)
        written = _until_closed(parent).decode()
    os.close(parent)

    assert process.returncode == 0
    for sequence in OURS:
        written = written.replace(sequence, "")
    assert all(sign in " \n" or unicodedata.category(sign)[0] not in "CZ" for sign in written)


def _until_closed(terminal: int) -> bytes:
    seen = b""
    while True:
        try:
            more = os.read(terminal, 65536)
        except OSError:  # EIO: nobody has the other end any more
            return seen
        if not more:
            return seen
        seen += more


def test_a_line_is_one_line() -> None:
    """A line feed in what is said, noted or complained about cannot forge a line of ours."""
    forged = "x\\nchaoskit: all is well"
    write = f"terminal.say('{forged}'); terminal.note('{forged}'); terminal.complain('{forged}')"

    done = subprocess.run(program(write), capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout == "x\\nchaoskit: all is well\n"
    assert done.stderr == "x\\nchaoskit: all is well\nchaoskit: x\n  chaoskit: all is well\n"


def test_a_reader_that_has_gone_ends_nothing() -> None:
    """What follows goes nowhere, and the program goes on to its own end."""
    write = "\nfor _ in range(100): terminal.say('x' * 1000)\nprint('y'); terminal.note('end')"
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run(program(write), stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writer)

    assert (done.returncode, done.stderr) == (0, "end\n")


def test_a_stream_that_stood_in_for_another_is_not_closed() -> None:
    """Nobody else has to keep it."""
    write = "\nsys.stdout = sys.stderr = open(1, 'w', closefd=False)\nterminal.protect(); terminal.say('x'); print('y')"

    done = subprocess.run(
        [sys.executable, "-c", f"import sys; from chaoskit import terminal{write}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout == "x\ny\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_closed_descriptor_is_not_taken_by_a_file(closed: str, tmp_path: object) -> None:
    """What is printed does not go into whatever file is opened next."""
    write = f"""
file = open({str(tmp_path)!r} + '/file', 'w+b')
assert file.fileno() > 2
print('x', flush=True); print('x', file=sys.stderr, flush=True); terminal.say('x'); terminal.complain('x')
assert file.read() == b''"""
    words = [sys.executable, "-c", f"import sys; from chaoskit import terminal; terminal.protect()\n{write}"]

    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *words], capture_output=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one two three", "one two three"),
        ("one two three four", "one two three ..."),
        ("one two, four, six", "one two, four ..."),
        ("known paths: /v1beta/models/MODEL", "known paths ..."),
        ("onetwothreefourfive", "onetwothreefou..."),
    ],
)
def test_a_shortened_text_ends_after_a_word(text: str, shown: str) -> None:
    """What has no word to end after is cut where it is."""
    assert shortened(text, 17) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error file=x,line=1::forged", r"\x3a:error file=x,line=1::forged"),
        ("x::Stop-Commands::token", r"x\x3a:Stop-Commands::token"),
        ("##[error]forged ##vso[task.setvariable]", r"\x23#[error]forged \x23#vso[task.setvariable]"),
        ("##teamcity[buildStatus]", r"\x23#teamcity[buildStatus]"),
        ("fe80::1 ::1 std::string 2001:db8::beef ## title", "fe80::1 ::1 std::string 2001:db8::beef ## title"),
    ],
)
def test_no_log_of_a_pipeline_obeys_a_text(text: str, shown: str) -> None:
    """The sign that begins a command is escaped, wherever a line may break; addresses stay as they are."""
    assert printable(text) == shown
