"""The page about protocols and endings is true: the probe ends each example as its row says."""

import asyncio
import re
from pathlib import Path

import pytest
from far_side import END, HEAD, ask, chunk, far_side, hang, reset, saying, workload

from chaoskit.probe.protocols import PROTOCOLS
from chaoskit.probe.protocols.finish_reasons import meaning

pytestmark = pytest.mark.flaky(reruns=4)  # real time, on a machine that others use

TOP = Path(__file__).parents[3]
PAGE = (TOP / "docs" / "protocols-and-endings.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| (?:`(\w+)` )?\| `(.*?)` \| (\w+) \| (.*?) ?\|$", re.MULTILINE)
THEN = {"reset": reset, "silence": hang}
EXAMPLES = ROW.findall(PAGE.partition("## Endings")[2].partition("## Finish")[0])


def test_the_page_has_examples() -> None:
    """Every row of the table is read."""
    assert len(EXAMPLES) == PAGE.count("| end |") + PAGE.count("| close |") + PAGE.count("| reset |") + PAGE.count(
        "| silence |"
    )
    assert len(EXAMPLES) > 20


@pytest.mark.parametrize(("completion", "flag", "body", "then", "detail"), EXAMPLES)
def test_an_example_ends_as_its_row_says(completion: str, flag: str, body: str, then: str, detail: str) -> None:
    """These bytes have this completion, flag and detail."""
    parts = [HEAD, chunk(body.replace("\\n", "\n").encode()), *([END] if then == "end" else [])]

    async def main() -> None:
        async with far_side(saying(*parts, then=THEN.get(then))) as url:
            timeouts = {"idle": "300ms", "first-token": "300ms"} if then == "silence" else {}
            found = (await ask(url, workload(output_tokens=100, timeouts=timeouts))).request

        assert (found.completion, found.flag or "", found.detail) == (completion, flag, detail)

    asyncio.run(main())


def test_the_table_of_protocols_is_that_of_the_code() -> None:
    """Each protocol with its path and its key's header."""
    rows = re.findall(r"^\| `([\w-]+)` \| `([^`]+)` \| `([\w-]+): ?(\w*)` \|", PAGE, re.MULTILINE)

    ours = [(name, one.path, one.key.name, one.key.prefix.strip()) for name, one in PROTOCOLS.items()]

    assert rows == ours


def test_the_finish_reasons_mean_what_the_page_says() -> None:
    """Each quoted word is of the meaning of its row."""
    text = PAGE.partition("## Finish reasons")[2].partition("## Empty")[0]
    rows = re.findall(r"^\| (the .*?) \| (.*?) \|", text, re.MULTILINE)
    meanings = ["stopped", "limited", "failed"]

    found = [{meaning(word) for word in re.findall(r"`(\w+)`", words)} for _, words in rows]

    assert found == [{each} for each in meanings]
