"""Mistakes on the command line are answered in one sentence of chaoskit's own, with what to type."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from cli_words import LIBRARY_PHRASES, chaoskit
from typer._click.exceptions import UsageError
from typer.core import TyperGroup, TyperOption

from chaoskit.cli.app import app
from chaoskit.cli.command import Command
from chaoskit.cli.unquoted import repaired
from chaoskit.cli.usage import explain
from chaoskit.errors import SpecError

ANY_ROOT = typer.main.get_command(app)
assert isinstance(ANY_ROOT, TyperGroup)
ROOT: TyperGroup = ANY_ROOT


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("run", "FILE is missing; write chaoskit run FILE"),
        ("validate", "FILE... is missing; write chaoskit validate FILE..."),
        ("rnu x.yaml", "'rnu' is no command of chaoskit; did you mean run?"),
        ("kernel foo", "'foo' is no command of chaoskit kernel; expected one of build, status, cache, remove"),
        ("run --ot x y", "chaoskit run has no option --ot; did you mean --out?"),
        ("--wrong", "chaoskit has no option --wrong\n"),
        ("run -x y", "chaoskit run has no option -x"),
        ("limit x.yaml", "--vary is missing; write chaoskit limit --vary PATH"),
        ("run x --out", "--out has no value; write --out PATH"),
        ("exec --down", "--down has no value; write --down FAULT"),
        ("plan x --json=3", "--json takes no value; write it alone"),
        ("run x --substrate docker", "--substrate: found 'docker', expected auto, here or uml"),
        ("probe http://x --requests 0", "--requests: found '0', expected a whole number, 1"),
        ("probe http://x --requests many", "--requests: found 'many', expected a whole number, 1"),
        ("probe http://x --burstiness much", "--burstiness: found 'much', expected a number"),
        ("serve --port 99999", "--port: found '99999', expected a whole number, 0 to 65535"),
        ("run x y z", "'y' is one word too many; chaoskit run takes FILE"),
        ("schema x", "'x' is one word too many; chaoskit schema takes options only"),
        ("exec curl -v http://x", "write -- before the command: chaoskit exec --down 'delay 80ms' -- curl -v http://x"),
        ("exec curl", "write -- before the command: chaoskit exec --down 'delay 80ms' -- curl"),
        ("exec x.yaml pytest -q", "write -- before the command: chaoskit exec x.yaml -- pytest -q"),
        ("exec --down 'loss 1%' curl -s x", "write -- before the command: chaoskit exec --down 'loss 1%' -- curl -s x"),
        ("exec x.yaml --fault wifi", "no command given; write it after --: chaoskit exec"),
        ("inject --down -- delay 80ms", "--down has no value; write it before --: --down FAULT"),
        ("inject --for 3s -- curl x", "chaoskit inject runs no command after --; this does: chaoskit exec"),
    ],
)
def test_a_mistake_is_answered_with_what_to_type(line: str, said: str) -> None:
    """Exit code 2, nothing on stdout, and no phrase of a library."""
    done = chaoskit(*shlex.split(line))

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"chaoskit: {said}")
    assert not LIBRARY_PHRASES.search(done.stderr)
    assert all(text == text.rstrip() for text in done.stderr.splitlines())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("inject --zone x", "chaoskit inject has no option --zone\n"),
        ("serve --listen 0.0.0.0", "chaoskit serve has no option --listen; did you mean --host?"),
        ("probe --url http://x", "chaoskit probe has no option --url; write URL alone: chaoskit probe URL"),
        ("probe http://x --base-url=y", "chaoskit probe has no option --base-url; write URL alone"),
        ("probe http://x -H a:b", "chaoskit probe has no option -H; did you mean --header?"),
        ("probe http://x -k", "chaoskit probe has no option -k; did you mean --ca-file?"),
        ("probe http://x --vus 3", "chaoskit probe has no option --vus; did you mean --max-concurrency?"),
        ("probe http://x -rate 5", "chaoskit probe has no option -rate; did you mean --request-rate?"),
        ("probe http://x -requests 5", "chaoskit probe has no option -requests; write --requests, with two dashes"),
        ("probe http://x --duration 5s", "chaoskit probe has no option --duration; did you mean --max-time?"),
        ("probe http://x --num-prompts 5", "chaoskit probe has no option --num-prompts; did you mean --requests?"),
        ("probe http://x --tokens 5", "chaoskit probe has no option --tokens; did you mean --output-tokens?"),
        ("probe http://x --api-key abc", "chaoskit probe has no option --api-key; did you mean --api-key-env?"),
        ("inject --dev eth0", "chaoskit inject has no option --dev; did you mean --interface?"),
        ("inject --delay 80ms", "chaoskit inject has no option --delay; did you mean --down 'delay 80ms'?"),
        ("inject --duration 80s", "chaoskit inject has no option --duration; did you mean --for?"),
        ("inject --upstream x", "chaoskit inject has no option --upstream; did you mean --up?"),
        ("report x --json", "chaoskit report has no option --json; did you mean --format json?"),
        ("report x --html", "chaoskit report has no option --html; did you mean --format html?"),
        ("doctor --format json", "chaoskit doctor has no option --format; did you mean --json?"),
        ("run x.yaml --seed 3", "chaoskit run has no option --seed; it is a key of FILE: write seed: there"),
        ("run x.yaml --request-rate=3/s", "chaoskit run has no option --request-rate; it is a key of FILE: write requ"),
        ("run x.yaml --everything", "chaoskit run has no option --everything; chaoskit inject has it"),
        ("lsit", "'lsit' is no command of chaoskit; expected one of init, run"),
        ("ls", "'ls' is no command of chaoskit; did you mean status?"),
        ("undo", "'undo' is no command of chaoskit; did you mean restore?"),
        ("x.yaml", "'x.yaml' is no command of chaoskit; write chaoskit run x.yaml"),
        ("http://x/v1", "'http://x/v1' is no command of chaoskit; write chaoskit probe http://x/v1"),
        ("help run", "'help' is no command of chaoskit; write chaoskit --help, or chaoskit COMMAND --help"),
    ],
)
def test_a_word_of_another_tool_is_understood(line: str, said: str) -> None:
    """What is near in meaning, or in spelling; nothing where nothing is near."""
    assert answer(line).startswith(said)


def answer(line: str) -> str:
    """What is said about this line."""
    with pytest.raises(UsageError) as refused, ROOT.make_context("chaoskit", shlex.split(line)) as context:
        ROOT.invoke(context)
    return explain(refused.value)


QUOTES = "put quotes around a value of several words: chaoskit"


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("exec --down delay 200ms -- curl x", f"{QUOTES} exec --down 'delay 200ms' -- curl x"),
        ("exec --down=delay 200ms -- curl x", f"{QUOTES} exec --down 'delay 200ms' -- curl x"),
        ("exec --up loss gemodel 1% 10% -- x", f"{QUOTES} exec --up 'loss gemodel 1% 10%' -- x"),
        ("exec --down delay 200ms curl -s x", f"{QUOTES} exec --down 'delay 200ms' -- curl -s x"),
        ("exec delay 80ms -- curl x", f"{QUOTES} exec --down 'delay 80ms' -- curl x"),
        ("probe http://x --objective ttft_p95 '<' 800ms", f"{QUOTES} probe http://x --objective 'ttft_p95 < 800ms'"),
        ("probe --objective ttft_p95 '<' 800ms http://x", f"{QUOTES} probe --objective 'ttft_p95 < 800ms' http://x"),
        ("probe http://x --objective ttft_p95 '<800ms'", f"{QUOTES} probe http://x --objective 'ttft_p95 <800ms'"),
        ("probe http://x ttft_p95 '<' 800ms", f"{QUOTES} probe http://x --objective 'ttft_p95 < 800ms'"),
        (
            "inject --down delay 80ms",
            f"{QUOTES} inject --down 'delay 80ms' --to api.example.com:443 --for 60s",
        ),
        (
            "inject eth0 delay 80ms",
            f"{QUOTES} inject --interface eth0 --down 'delay 80ms' --to api.example.com:443 --for 60s",
        ),
        (
            "inject lo --down 'delay 80ms' --to :443 --for 3s",
            "write the option before its value: chaoskit inject --interface lo --down 'delay 80ms' --to :443 --for 3s",
        ),
        (
            "inject 'delay 80ms' api.example.com --for 3s",
            "write the option before its value: chaoskit inject --down 'delay 80ms' --to api.example.com --for 3s",
        ),
    ],
)
def test_a_line_without_its_quotes_is_repaired(line: str, meant: str) -> None:
    """The answer is the line to type, and typing it never gives the same answer again."""
    typed = shlex.split(meant.partition(": chaoskit")[2])
    before = typed[: typed.index("--")] if "--" in typed else typed
    command = ROOT.commands[typed[0]]
    options = {name for each in command.params for name in each.opts}

    assert answer(line).startswith(f"{meant}\n")
    assert isinstance(command, Command)
    assert repaired(typed[0], before[1:], options, command.valued) == before[1:]


@pytest.mark.parametrize(
    "line", ["inject nosuch.yaml", "exec nosuch.yaml --fault x -- true", "inject --down 'delay 3'"]
)
def test_a_line_is_repaired_only_where_it_is_sure(line: str) -> None:
    """A file, a fault that has another mistake."""
    said = chaoskit(*shlex.split(line))

    assert said.returncode == 2
    assert "quotes" not in said.stderr


def _commands(group: TyperGroup, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, each in group.commands.items():
        if isinstance(each, TyperGroup):
            yield from _commands(each, (*path, name))
        else:
            yield (*path, name)


COMMANDS = list(_commands(ROOT))


@pytest.mark.parametrize("columns", ["60", "80", "120", "200"])
@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_fits_the_screen(path: tuple[str, ...], columns: str) -> None:
    """No line is wider than the terminal, ends in blanks, or shows a type of Python."""
    done = chaoskit(*path, "--help", COLUMNS=columns)

    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= int(columns)
    assert all(line == line.rstrip() for line in done.stdout.splitlines())
    assert not re.search(r"<\w|None|\bPath\b|\{FILE", done.stdout)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_is_explained(path: tuple[str, ...]) -> None:
    """Each has a sentence, which ends in a full stop."""
    command = typer.main.get_command(app)
    for name in path:
        assert isinstance(command, TyperGroup)
        command = command.commands[name]

    unsaid = [
        each.opts
        for each in command.params
        if isinstance(each, TyperOption) and not (each.help or "").endswith((".", "…"))
    ]

    assert unsaid == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("serve 8000", "'8000' is one word too many; did you mean --port 8000?"),
        ("serve :8000", "':8000' is one word too many; did you mean --port 8000?"),
        ("run x.yaml wifi", "'wifi' is one word too many; did you mean --variant wifi?"),
        ("exec x.yaml wifi -- true", "'wifi' is one word too many; did you mean --fault wifi?"),
        ("kernel build x.tar.xz", "'x.tar.xz' is one word too many; did you mean --source x.tar.xz?"),
        ("run x.yaml --out=", "--out has no value; write --out PATH"),
        ("pmtu -6 localhost", "chaoskit pmtu has no option -6; did you mean --ip 6?"),
        ("status --all", "chaoskit status has no option --all; without LEASE it is about all of them: chaoskit status"),
        ("kernel status --json", "chaoskit kernel status has no option --json; chaoskit plan, probe and pmtu have it"),
        ("version", "'version' is no command of chaoskit; write chaoskit --version"),
        ("completion bash", "'completion' is no command of chaoskit; write chaoskit --install-completion or"),
        ("inject add dev eth0 root netem delay 80ms", f"{QUOTES} inject --interface eth0 --down 'delay 80ms' --to"),
        ("inject --to x.y --down 'delay 8ms' 60s", "write the option before its value: chaoskit inject --to x.y"),
    ],
)
def test_a_word_in_the_wrong_place_is_understood(line: str, said: str) -> None:
    """By what it looks like, and by the options that the command has."""
    assert answer(line).startswith(said)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("run x.yml", "x.yml: No such file or directory; did you mean x.yaml?"),
        ("run x", "x: No such file or directory; did you mean x.yaml?"),
        ("run .", ".: Is a directory; give a file in it, such as x.yaml"),
        ("validate run", "run: Is a directory; that is the directory of a run: chaoskit report run"),
        ("plan http://h/", "http:/h: No such file or directory; a URL is measured by chaoskit probe URL"),
        ("report nosuch", "nosuch is no run directory: No such file or directory"),
        ("inject x.yaml", "x.yaml is an experiment, not the keys of an injection: chaoskit run x.yaml"),
        ("inject --to h.x:1 --for 3s --down 'delay=80ms'", "--down: found 'delay=80ms'; write delay 80ms"),
        ("inject --to h.x:1 --for 3s --down 'netem delay 8ms'", "--down: found 'netem'; write delay 8ms"),
        (
            "inject --to h.x:1 --for 3s --down 80ms",
            "--down: found '80ms', expected an option before it; write for",
        ),
        (
            "inject --to h.x:1 --for 3s --down 1%",
            "--down: found '1%', expected an option before it; write",
        ),
        ("inject --to h.x 443 --for 3s", "443 is read as FILE, and a file cannot be combined with --to, --for"),
        ("probe http://h --objective ttft_p95", "--objective: ttft_p95 has no bound; write both in quotes, because"),
        (
            "probe http://h --api-key-env sk-12345678901234567890",
            "that is no name of an environment variable, and",
        ),
        (
            "probe http://h --api-key-env '$KEY'",
            "that is no name of an environment variable, and",
        ),
        ("serve --host 0.0.0.0:80", "--host: 0.0.0.0:80 has a port; write --host 0.0.0.0 --port 80"),
        ("init http://h:1", "a URL is a value of --endpoint: chaoskit init --endpoint http://h:1"),
        ("init --example release-gate.yaml", "no included experiment is named 'release-gate.yaml'; did you mean rele"),
        ("exec x.yaml", "no command given; write it after --: chaoskit exec x.yaml -- curl https://example.com"),
        ("exec --fault wifi -- true", "--fault and --variant go with FILE: give either FILE, for its lab"),
    ],
)
def test_a_wrong_value_is_answered_with_the_right_one(
    line: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an option, or of an argument."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "plan.json").touch()
    (tmp_path / "x.yaml").write_text("name: x\ntimeline: [{baseline: 1s}]\n")

    with pytest.raises(SpecError) as refused, ROOT.make_context("chaoskit", shlex.split(line)) as context:
        ROOT.invoke(context)

    assert str(refused.value).startswith(said)
