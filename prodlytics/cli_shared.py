"""What the files of the `prodlytics` command share: exit codes, the option for machines, how a verb gives up."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

FAILED, ASKED_WRONGLY = 1, 2
JsonOption = Annotated[bool, typer.Option("--json", help="For machines: one JSON object on standard output.")]


def stop(code: int, sentence: str) -> NoReturn:
    """End the command with one sentence on standard error."""
    sys.stderr.write(f"{sentence}\n")
    raise SystemExit(code)
