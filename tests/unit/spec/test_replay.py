"""Traces: their layouts, their speed, and files that are none."""

from pathlib import Path

import pytest
from far_side import workload

from chaoskit.errors import SpecError
from chaoskit.spec.arrivals import expected, schedule
from chaoskit.spec.replay import Replay, Rows, read_rows
from chaoskit.spec.sizes import largest_prompt, late_tokens, mean_tokens

MS, SECOND = 10**6, 10**9
OWN = "seconds,input_tokens,output_tokens\n10,100,7\n10.25,5,1\n12,4000,30\n"
SAME = Rows((0, 250 * MS, 2 * SECOND), (100, 5, 4000), (7, 1, 30))
LAYOUTS = {
    "seconds": OWN,
    "milliseconds": "milliseconds,input_tokens,output_tokens,who\n10000,100,7,a\n10250,5,1,b\n12000,4000,30,c\n",
    "Azure 2023": "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.7500000,100,7\n"
    "2023-11-16 18:15:47.0000000,5,1\n2023-11-16 18:15:48.7500000,4000,30\n",
    "Azure 2024": "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.009930+00:00,100,7\n"
    "2024-05-10 00:00:00.259930+00:00,5,1\n2024-05-10 00:00:02.009930+00:00,4000,30\n",
    "BurstGPT": "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,100,7,107,API log\n"
    "5.25,GPT-4,5,0,5,Conversation log\n7,ChatGPT,4000,30,4030,API log\n",
    "Mooncake": '{"timestamp": 27000, "input_length": 100, "output_length": 7, "hash_ids": [1, 2]}\n'
    '{"timestamp": 27250, "input_length": 5, "output_length": 1, "hash_ids": []}\n'
    '{"timestamp": 29000, "input_length": 4000, "output_length": 30, "hash_ids": [3]}\n',
    "Windows": "\ufeff" + OWN.replace("\n", "\r\n"),
}


def trace(folder: Path, text: str) -> Replay:
    """A file with this text."""
    path = folder / "trace"
    path.write_bytes(text.encode())
    return Replay(file=str(path))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_is_recognised(layout: str, tmp_path: Path) -> None:
    """By its first line, with the unit that it names."""
    assert read_rows(trace(tmp_path, LAYOUTS[layout])) == SAME


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", " is empty, or begins with an empty line"),
        ("a,b\n1,2\n", ":1: found 'a, b'; expected the columns seconds"),
        ("1,100,7\n", ":1: found '1, 100, 7', which has no header; expected"),
        ("time,input_tokens,output_tokens\n1,2,3\n", ":1: found 'time, input_tokens, output_tokens'; expected"),
        ("seconds,input_tokens,output_tokens\n", " has no request"),
        (OWN + "11,5,5\n", ":5: seconds is before that of the line above; sort the file by time"),
        (OWN + "x,5,5\n", ":5: seconds 'x' is no number"),
        (OWN + "nan,5,5\n", ":5: seconds 'nan' is no number"),
        (OWN + "13,5\n", ":5: has no output_tokens"),
        (OWN + "13,-5,2\n", ":5: input_tokens '-5' is no number of tokens"),
        (OWN + "13,5,2.5\n", ":5: output_tokens '2.5' is no number of tokens"),
        (OWN + "13,5,200000\n", ":5: output_tokens '200000' is no number of tokens from 0 to 100000"),
        (OWN + "99999999999,5,2\n", ":5: seconds is more than a year after the first one"),
        (LAYOUTS["Azure 2023"] + "yesterday,5,2\n", ":5: TIMESTAMP 'yesterday' is no date with a time"),
        (LAYOUTS["Mooncake"] + "{broken\n", ":4: has no timestamp"),
        (OWN + "x,1,1\n" * 30, "\nand perhaps more$"),
        (OWN + "1" * 1_500_000, ":5: a line of more than 100,000 characters"),
        (OWN + '"' + "1" * 50_000 + '",1,1\n', ":5: seconds '1111"),
        (OWN + "\0,1,1\n", ":5: seconds '.x00' is no number"),
    ],
)
def test_damage_is_told_with_its_line(text: str, answer: str, tmp_path: Path) -> None:
    """What is wrong, where, and for many lines only the first."""
    with pytest.raises(SpecError, match=answer):
        read_rows(trace(tmp_path, text))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With an example."""
    with pytest.raises(SpecError, match="does not exist; give a CSV with the columns seconds,input_tokens"):
        read_rows(Replay(file=str(tmp_path / "none.csv")))


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """Though each state of it is read once."""
    first = read_rows(trace(tmp_path, OWN))
    second = read_rows(trace(tmp_path, OWN + "13,1,1\n"))

    assert (len(first), len(second)) == (3, 4)


def test_requests_start_when_those_of_the_trace_did(tmp_path: Path) -> None:
    """The first at once, the others by their distance from it, faster by the speed; a surge speeds up further."""
    replay = trace(tmp_path, OWN)
    plain = workload(trace=replay.file)
    fast = workload(trace={"file": replay.file, "speed": "10x"})

    assert schedule(plain, 1, 60 * SECOND) == [0, 250 * MS, 2 * SECOND]
    assert schedule(fast, 1, 60 * SECOND) == [0, 25 * MS, 200 * MS]
    assert schedule(fast, 1, 60 * SECOND, ((100 * MS, 1.0), (SECOND, 2.0))) == [0, 25 * MS, 150 * MS]
    assert expected(fast, 0, 100 * MS) == 2


def test_its_lengths_are_those_of_the_workload(tmp_path: Path) -> None:
    """Their mean and their largest are known before a run."""
    work = workload(trace=trace(tmp_path, OWN).file)

    assert mean_tokens(work) == pytest.approx(38 / 3)
    assert late_tokens(work) == 30
    assert largest_prompt(work) == 16_000
