"""Somebody's command runs as if we were not there: its codes, its signals, its terminal, its bytes."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chaoskit.clock import RealClock
from chaoskit.conduct.user_command import check_executable

CLOCK = RealClock()
ALONE = (
    "import sys, os; from chaoskit.conduct.user_command import Command, run; "
    "sys.exit(run(Command.with_own_environment(tuple(sys.argv[1:])), lambda: None))"
)
EARLY = ALONE.replace("lambda: None", "lambda: os.kill(os.getpid(), 2)")
BEGUN = "echo begun; while :; do sleep 0.05; done"

_LIBC = 1 << 31 | 1 << 32  # signals 32 and 33 are the C library's own; whoever started us may have ignored them


def words(*argv: str) -> list[str]:
    """What runs a command through us, in no namespace in particular."""
    return [sys.executable, "-c", ALONE, *argv]


def until(condition: Callable[[], object]) -> None:
    """Wait for it, up to ten seconds."""
    deadline = CLOCK.now() + 10 * 10**9
    while not condition():
        assert CLOCK.now() < deadline, "it did not come true within 10 s"
        CLOCK.sleep_until(CLOCK.now() + 10_000_000)


def is_alive(pid: int) -> bool:
    """Whether a process of that number runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("code", [0, 1, 3, 4, 126, 127, 255])
def test_its_exit_code_is_ours(code: int) -> None:
    """Whatever it says, those that chaoskit uses itself among them."""
    assert subprocess.run(words("sh", "-c", f"exit {code}"), check=False).returncode == code


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSEGV, signal.SIGPIPE])
def test_a_signal_that_ended_it_is_told_as_a_shell_does(sign: signal.Signals) -> None:
    """128 and the signal's number."""
    assert subprocess.run(words("sh", "-c", f"kill -{sign} $$"), check=False).returncode == 128 + sign


@pytest.mark.parametrize("sign", ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2"])
def test_a_signal_to_us_is_passed_on(sign: str) -> None:
    """The command gets the very signal, once, may end as it likes, and we wait for it."""
    script = f"n=0; trap 'n=$((n+1)); echo got {sign} $n; exit 5' {sign}; {BEGUN}"
    with subprocess.Popen(words("sh", "-c", script), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"

        process.send_signal(getattr(signal, f"SIG{sign}"))

        assert process.stdout.read() == f"got {sign} 1\n"
    assert process.returncode == 5


def test_its_death_by_a_passed_on_signal_is_told() -> None:
    """A command that takes SIGTERM as everybody does ends us with 143."""
    with subprocess.Popen(words("sh", "-c", BEGUN), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()

        process.terminate()
    assert process.returncode == 143


def test_a_ctrl_c_before_it_has_begun_is_its_own() -> None:
    """It ends the command as it would have ended a moment later, without a word of ours."""
    told = subprocess.run([sys.executable, "-c", EARLY, "true"], capture_output=True, check=False)

    assert (told.returncode, told.stderr) == (130, b"")


def test_input_and_big_output_go_through_untouched() -> None:
    """Eight megabytes in are the same eight megabytes out; standard error stays apart."""
    data = os.urandom(1 << 23)

    answer = subprocess.run(words("sh", "-c", "cat; echo aside >&2"), input=data, capture_output=True, check=False)

    assert answer.stdout == data
    assert answer.stderr == b"aside\n"


def test_it_dies_with_us() -> None:
    """kill -9 of us is the end of the command."""
    with subprocess.Popen(words("sh", "-c", "echo $$; exec sleep 1000"), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        command = int(process.stdout.readline())

        process.kill()

        until(lambda: not is_alive(command))


def test_signals_are_as_a_shell_gives_them() -> None:
    """The command ignores and blocks nothing that we do; SIGPIPE ends it, which Python ignores."""
    told = subprocess.run(words("grep", "^Sig[BI]", "/proc/self/status"), capture_output=True, text=True, check=True)

    blocked, ignored = (int(mask, 16) & ~_LIBC for mask in told.stdout.split()[1::2])
    assert (blocked, ignored) == (0, 0)


def in_terminal(script: str, *steps: tuple[str, bytes]) -> tuple[int, str]:
    """The exit code of a shell's script at a terminal of its own, run through us, and all that was shown.

    Each step is what must have been shown before something is typed.
    """
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, words("sh", "-c", script))
    shown = b""
    waiting = list(steps)
    while select.select([terminal], [], [], 10)[0]:
        try:
            shown += os.read(terminal, 1024)
        except OSError:  # it has ended
            break
        if waiting and waiting[0][0].encode() in shown:
            os.write(terminal, waiting.pop(0)[1])
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode().replace("\r\n", "\n")


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_ctrl_c_reaches_it_once() -> None:
    """The terminal tells the command itself; we neither end by it nor tell it again."""
    script = f"n=0; trap 'n=$((n+1)); echo got $n; [ $n = 2 ] && exit 6' INT; {BEGUN}"

    code, shown = in_terminal(script, ("begun", b"\x03"), ("got 1", b"\x03"))

    assert code == 6
    assert shown.count("got") == 2


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_an_interactive_program_has_its_terminal() -> None:
    """It is in the terminal's foreground, and reads what is typed."""
    code, shown = in_terminal('echo begun; tty; read line; echo "said $line"; exit 4', ("/dev/pts", b"hello\n"))

    assert code == 4
    assert "said hello" in shown


def test_a_command_that_is_not_there_is_said_before_anything_is_built(tmp_path: Path) -> None:
    """With a shell's codes: 127 for none of that name, 126 for one that is no program."""
    (tmp_path / "text").write_text("not a program")
    (tmp_path / "text").chmod(0o644)

    missing, plain = check_executable(("no-such-command",)), check_executable((str(tmp_path / "text"),))

    assert missing is not None
    assert missing[1] == 127
    assert "no-such-command" in missing[0]
    assert plain is not None
    assert plain[1] == 126
    assert "chmod +x" in plain[0]
    assert check_executable(("sh",)) is None


def test_a_program_that_cannot_be_run_after_all(tmp_path: Path) -> None:
    """A script whose interpreter is missing is 127, a file of nonsense 126, each with a sentence."""
    for name, text, code in (("lost", "#!/no/such/interpreter\n", 127), ("nonsense", "\x00\x01", 126)):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o755)

        answer = subprocess.run(words(str(path)), capture_output=True, text=True, check=False)

        assert answer.returncode == code, answer.stderr
        assert str(path) in answer.stderr
        assert "Traceback" not in answer.stderr


def test_a_mistake_of_ours_before_it_begins_is_told_as_one() -> None:
    """Exit code 70 and a report: none that the command could have had, and not the machine's."""
    program = "from chaoskit.conduct.user_command import Command, run; import sys; "
    program += "sys.exit(run(Command.with_own_environment(('true',)), lambda: 1 / 0))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 70
    assert done.stderr.startswith("chaoskit: this is a mistake in chaoskit itself: ZeroDivisionError")
