"""`chaoskit init [NAME]`: writes an experiment file to start from."""

from __future__ import annotations

from typing import Annotated

import typer

from chaoskit.terminal import say


def init(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Of the experiment, or of its file.")] = None,
    lab: Annotated[bool, typer.Option("--lab", help="A gate in a lab; needs no rights. The default.")] = False,
    endpoint: Annotated[str | None, typer.Option(metavar="URL", help="A gate for this endpoint.")] = None,
    model: Annotated[str | None, typer.Option(help="Model to request from the endpoint.")] = None,
    api_key_env: Annotated[str | None, typer.Option(metavar="NAME", help="Environment variable with the key.")] = None,
    protocol: Annotated[str | None, typer.Option(help="What the endpoint speaks. Default: as its URL says.")] = None,
    example: Annotated[str | None, typer.Option(metavar="NAME", help="Copy an included experiment.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the included experiments; write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
) -> None:
    """Write an experiment file to start from.

    It is a gate that is met when all is well, or an included experiment.
    """
    from chaoskit.conduct.file_check import check
    from chaoskit.errors import SpecError
    from chaoskit.programs import sudo
    from chaoskit.report.screen import say_wrapped
    from chaoskit.spec.examples import example_lines
    from chaoskit.spec.matrix import load_variants
    from chaoskit.spec.new_file import NewFile, write

    if list_:
        say_wrapped(*example_lines())
        return
    if name is not None and "://" in name:
        raise SpecError(f"a URL is a value of --endpoint: chaoskit init --endpoint {name}")
    given = {"--lab": lab, "--endpoint": endpoint is not None, "--example": example is not None}
    chosen = [option for option, is_given in given.items() if is_given]
    if len(chosen) > 1:
        raise SpecError(f"{' and '.join(chosen)} exclude each other: give one of them")
    if endpoint is None and (model or api_key_env or protocol):
        raise SpecError("--model, --api-key-env and --protocol are of an endpoint: give its URL with --endpoint URL")
    new = NewFile(name, endpoint, model, api_key_env, protocol, example)
    path, *beside = write(new, force)
    say(
        f"{', '.join(map(str, (path, *beside)))} {'are' if beside else 'is'} written. Next:",
        f"  chaoskit validate {path}  # after each change",
        f"  chaoskit plan {path}      # what a run would change",
        f"  {sudo(new.variable) if new.is_for_endpoint else 'chaoskit'} run {path}",
        *(f"note: {note}" for note in check([variant.experiment for variant in load_variants(path).each]).notes),
    )
