"""Texts that somebody hostile lets a server say, and a run directory in which everything is such a text."""

from __future__ import annotations

import json
from pathlib import Path

from made_runs import Made, plan

HOSTILE = {
    "script": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "attribute": "\" onmouseover='alert(1)' x=\"",
    "cdata": "]]>]]&gt;<![CDATA[x]]> --> <!-- <?xml ?> &lt; &#0; &nope;",
    "ansi": "\x1b[31mRED\x1b[2J\x1b]8;;http://evil\x07 \x9b31m \x90",
    "table": "a | b || \\| c \\",
    "lines": "one\r\ntwo\rthree\n\n# heading\n- item\n\n    code\n---\n",
    "command": "\n::error file=x,line=1::forged\n::stop-commands::x\n##[error]forged %0A::warning::x",
    "markdown": "[link](http://evil) ![x](http://evil/x.png) `code` ``` *a* _b_ ~~c~~ http://evil.example www.evil",
    "mention": "@everyone @octocat #123 GH-1 owner/name#1 !1 ~label %milestone a@b.example",
    "long": "x" * (1 << 20),
    "surrogates": "\ud800 \udfff x\udcff",
    "nul": "a\x00b\x01\x08\x0b\x0c\x0e\x1f\x7f\x85\ufffe\uffff",
    "bidi": "\u202egnp.exe\u202c \u2066x\u2069 \u200b\u200f\ufeff\u2028\u2029",
    "formula": "=cmd|'/C calc'!A0",
    "labels": 'x"} 1\nforged{a="b\\n\\"',
    "template": "{{ 7*7 }} {% x %} ${{ secrets.X }} $(id) `id`",
    "marks": "e" + "\u0301" * 1000,
}


def hostile_run(run: Path, text: str) -> Path:
    """A run directory in which everything that a server or an author can write is this text."""
    made = Made(plan(["ttft_p95 < 150ms during wifi", "ttft_p99 < 1s during baseline", "ttft_p50 < 1s"]))
    made.phases().many(0, 9500, 500, pace=250).many(10_000, 19_500, 500)
    said = text.encode(errors="backslashreplace").decode() if "\ud800" in text else text  # a record is valid Unicode
    made.stream(16_000, [], "error_event", ended=16_100, detail=said[:60_000])
    made.stream(16_500, [], "http_error", ended=16_600, detail=said[:60_000], remarks=(said[:60_000],))
    made.outcome = {"how": "finished", "detail": ""}
    made.write(run)
    told = json.loads((run / "plan.json").read_text())
    told |= {"name": said, "question": said, "target": said, "warnings": [said]}
    (run / "plan.json").write_text(json.dumps(told))
    (run / "machine.json").write_text(json.dumps({"clock": said, "kernel": said}))
    (run / "experiment.yaml").write_text(f"name: made\n# {text}\n", errors="surrogatepass")
    return run
