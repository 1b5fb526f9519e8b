"""Renews what README.md and docs/ quote between `<!-- NAME -->` and `<!-- /NAME -->` from real runs, in guests.

    python docs/site/quotes.py [NAME...]

Without names it renews all that take a few minutes together; soak, fuzz, bench and parity take longer, and are named.
`examples` are the results in docs/examples, which pages and pictures show: `make reference` follows. Quotes that follow
from the code alone are cog blocks as well.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "virtual"))

import published_figures
import real_programs

TOP = Path(__file__).parents[2]
BIN = TOP / ".venv" / "bin"
LONG_PROMPT = "experiments/pmtu-blackhole-long-prompt.yaml"
VPN = "experiments/asymmetric-vpn.yaml"
OWN_GATEWAY = "experiments/tiers/own-gateway-spans.yaml"
CURL = 'curl -s -o /dev/null -w "connected in %{time_connect} s\\n" $CHAOSKIT_TARGET/v1/models; exit 7'


def output(*words: str, codes: tuple[int, ...] = (0,), **more: str) -> str:
    """What a command prints; SystemExit when it ends in another way."""
    environment = os.environ | {"COLUMNS": "80", "PATH": f"{BIN}:{os.environ['PATH']}"} | more
    answer = subprocess.run(
        words, cwd=TOP, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if answer.returncode not in codes:
        raise SystemExit(f"{' '.join(words)}: exit code {answer.returncode}\n{answer.stdout}")
    return "\n".join(line.rstrip() for line in answer.stdout.splitlines())


def section(text: str, title: str) -> str:
    """The part of a report under this title."""
    return next(part for part in text.split("\n\n") if part.startswith(title))


@cache
def in_force() -> str:
    """What inject, status and restore print, in a guest with an endpoint."""
    return output(sys.executable, "tests/in_guest.py", "--limit", "5min", "bash", "docs/site/inject_in_guest.sh")


def inject() -> str:
    """On a real interface."""
    return in_force().partition("## inject\n")[2].partition("\n## status\n")[0]


def status() -> str:
    """From another terminal."""
    return in_force().partition("## status\n")[2].partition("\n##")[0]


def exec_() -> str:
    """A command behind a fault."""
    said = output("chaoskit", "exec", VPN, "--fault", "vpn", "--", "sh", "-c", CURL, codes=(7,))
    typed = f"$ chaoskit exec {VPN} --fault vpn -- \\\n      sh -c '{CURL}'"
    return f'{typed}\n{said}\n$ echo "exit code $?"\nexit code 7'


def pmtu() -> str:
    """A black hole, from the client of a lab."""
    words = ("exec", LONG_PROMPT, "--variant", "ip=4,prompt-size=2kB")
    rest = ("--fault", "black-hole", "--", "chaoskit", "pmtu", "10.2.0.1:8000")
    said = output("chaoskit", *words, *rest, codes=(1,))
    return f"$ chaoskit {' '.join(words)} \\\n      {' '.join(rest)}\n{said}"


def segments() -> str:
    """Who left a black hole by MTU probing."""
    with tempfile.TemporaryDirectory() as folder:
        experiment = ("experiments/mtu-probing-remedy.yaml", "--variant", "tcp_mtu_probing=1,ip=4")
        return section(output("chaoskit", "run", *experiment, "--out", f"{folder}/run"), "Path MTU")


def matrix() -> str:
    """One experiment over IP versions and prompt sizes."""
    with tempfile.TemporaryDirectory() as folder:
        said = output("chaoskit", "run", LONG_PROMPT, "--out", f"{folder}/run")
        return f"$ chaoskit run {LONG_PROMPT}\n{section(said, 'TTFT p50')}"


def compare() -> str:
    """The same experiment with more loss; only the verdicts that somebody asks for."""
    file, despite = "experiments/loss-first-token.yaml", ("--despite", "experiment")
    with tempfile.TemporaryDirectory() as folder:
        for name, options in (("before", ()), ("after", ("--set", "faults.wifi.netem.loss.gemodel.p=8%"))):
            words = ("chaoskit", "run", file, *options, "--clock", "virtual", "--out", f"{folder}/runs/{name}")
            output(*words, codes=(1,))
        said = output("chaoskit", "compare", f"{folder}/runs/before", f"{folder}/runs/after", *despite, codes=(1,))
    said = re.sub(r"\n\nrecovery\n.*?(?=\n\nwhole run)", "", said.replace(f"{folder}/", ""), flags=re.DOTALL)
    return f"$ chaoskit compare runs/before runs/after {' '.join(despite)}\n{said}"


def my_gateway() -> str:
    """A gateway of somebody's own, as the page writes it down."""
    page = (TOP / "docs" / "your-service.md").read_text()
    python, yaml = (re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)[0] for kind in ("python", "yaml"))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "gateway.py").write_text(python)
        (Path(folder) / "my-gateway.yaml").write_text(yaml)
        words = ("chaoskit", "run", f"{folder}/my-gateway.yaml", "--out", f"{folder}/run")
        said = output(*words, codes=(1,))
    shown = (section(said, "Objectives"), section(said, "Who ended them"), said.strip().splitlines()[-1])
    return "\n\n".join(("$ chaoskit run my-gateway.yaml\n...", *shown))


def haystack_gateway() -> str:
    """A gateway that others wrote."""
    with tempfile.TemporaryDirectory() as folder:
        path = real_programs.search_path(Path(folder) / "bin")
        file = "experiments/tiers/haystack-gateway.yaml"
        said = output("chaoskit", "run", file, "--out", f"{folder}/run", codes=(1,), PATH=path)
    shown = (section(said, "Objectives"), section(said, "Hops"), section(said, "Retrieval"))
    return "\n\n".join(("$ chaoskit run haystack-gateway.yaml\n...", *shown))


def own_gateway() -> str:
    """What a gateway that exports spans is found to do."""
    with tempfile.TemporaryDirectory() as folder:
        words = ("chaoskit", "run", OWN_GATEWAY, "--clock", "virtual", "--out", f"{folder}/run")
        return section(output(*words, codes=(1,)), "Objectives").partition("\n  an objective counts")[0]


def published() -> str:
    """What others published, beside what we find."""
    with tempfile.TemporaryDirectory() as folder:
        return published_figures.table(published_figures.all_runs(Path(folder)))


def surface() -> str:
    """The share of time that a reader waits, by round trip and loss; and its picture."""
    delays = f"{published_figures.DELAY}=10ms,25ms,50ms,100ms,150ms"
    words = ("chaoskit", "sweep", f"experiments/{published_figures.SURFACE}.yaml", "--vary", delays)
    with tempfile.TemporaryDirectory() as folder:
        output(*words, "--report", "svg,csv", "-o", f"{folder}/sweep")
        (TOP / "docs/images/published-surface.svg").write_bytes((Path(folder) / "sweep/doses.svg").read_bytes())
        return published_figures.surface(Path(folder) / "sweep/points.csv")


def soak() -> str:
    """Runs that were ended in every way."""
    said = output("make", "soak")
    return f"$ make soak\n{said[said.index('what happens to it') :]}"


def fuzz() -> str:
    """Two minutes in all."""
    return output("make", "fuzz", "SECONDS=12").replace("\nseed ", "\n\nseed ")


def bench() -> str:
    """How fast and how exact."""
    return output("make", "bench")


def parity() -> str:
    """The same streams by several tools."""
    output("make", ".venv/.parity")
    return output(sys.executable, "tests/bench/parity.py")


def examples() -> bool:
    """Run the experiments whose results the pages show, in virtual time. Returns whether a result has changed."""
    has_changed = False
    with tempfile.TemporaryDirectory() as folder:
        path = real_programs.search_path(Path(folder) / "bin")
        for name, found in EXAMPLES.items():
            run = f"{folder}/{Path(found).stem}"
            words = ("chaoskit", "run", found, "--clock", "virtual", "--out", run)
            output(*words, codes=(0, 1, 5), PATH=path)
            for kept, part in {name: "", **PARTS.get(name, {})}.items():
                told = output("chaoskit", "report", f"{run}/{part}", "--format", "json", codes=(0, 1, 5))
                file = TOP / "docs/examples" / f"{kept}.json"
                has_changed = has_changed or file.read_text() != f"{told}\n"
                file.write_text(f"{told}\n")
    return has_changed


EXAMPLES = {
    "loss-first-token": "experiments/loss-first-token.yaml",
    "nginx-read-timeout": "experiments/service/nginx-read-timeout.yaml",
    "vpn-on-retrieval-not-model": "experiments/tiers/vpn-on-retrieval-not-model.yaml",
}
PARTS = {"nginx-read-timeout": {"nginx-untouched": "run.4=nginx-untouched.conf"}}
"""Results of one variant."""

QUICK: dict[str, Callable[[], str]] = {
    "inject": inject,
    "status": status,
    "exec": exec_,
    "pmtu": pmtu,
    "segments": segments,
    "matrix": matrix,
    "compare": compare,
    "my-gateway": my_gateway,
    "haystack-gateway": haystack_gateway,
    "own-gateway": own_gateway,
    "published": published,
    "surface": surface,
}
LONG: dict[str, Callable[[], str]] = {"soak": soak, "fuzz": fuzz, "bench": bench, "parity": parity}
TABLES = ("fuzz", "parity", "published", "surface")
"""Markdown, and no block of text."""


def renew(name: str, text: str) -> bool:
    """Write the quote into the page that has it. Returns whether it has changed."""
    inner = text if name in TABLES else f"```text\n{text}\n```"
    for page in (TOP / "README.md", *(TOP / "docs").glob("*.md")):
        former = page.read_text()
        quote = re.compile(rf"(<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)
        if quote.search(former):
            page.write_text(quote.sub(lambda found: f"{found[1]}{inner}\n", former))
            return page.read_text() != former
    raise SystemExit(f"no page quotes {name}")


def main() -> None:
    """Renew those that were asked for."""
    known = QUICK | LONG
    for name in sys.argv[1:] or ("examples", *QUICK):
        is_new = examples() if name == "examples" else renew(name, known[name]())
        print(f"{name}: {'renewed' if is_new else 'as before'}", flush=True)


if __name__ == "__main__":
    main()
