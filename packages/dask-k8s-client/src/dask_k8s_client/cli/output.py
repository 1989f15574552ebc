"""How commands print: tables, pairs, and objects as JSON, YAML or names. The content comes from `tables`."""

import json
import sys
from collections.abc import Iterable, Sequence

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dask_k8s_client.arguments import JSON
from dask_k8s_crds import yaml
from dask_k8s_crds.resources import GROUP

Cell = str | Text

_PIPE_WIDTH = 10_000
"""Without a terminal, lines are for programs and are not folded."""


def console(*, stderr: bool = False) -> Console:
    """Return where to print: plain text, with colours on a terminal only."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def print_table(out: Console, head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Print columns as kubectl does, without a frame, so that other programs can read them."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for title in head:
        # The last column contains sentences.
        table.add_column(title, no_wrap=title != head[-1], overflow="fold")
    for row in rows:
        table.add_row(*row)
    _print(out, table)


def print_pairs(out: Console, pairs: Iterable[tuple[str, Cell]]) -> None:
    """Print names and values, one pair in each line."""
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(name, value)
    _print(out, table)


def _print(out: Console, table: Table) -> None:
    if out.is_terminal:
        out.print(table)
        return
    with out.capture() as captured:
        out.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())  # without the padding of columns


def print_objects(objects: Sequence[JSON], form: str, *, many: bool = False) -> None:
    """Print objects as ``json``, ``yaml`` or ``name``; with `many` as a List."""
    if form == "name":
        for each in objects:
            click.echo(full_name(each))
        return
    for each in objects:
        each["metadata"].pop("managedFields", None)
    whole = {"apiVersion": "v1", "kind": "List", "items": [*objects]} if many else objects[0]
    click.echo(json.dumps(whole, indent=2) if form == "json" else yaml.documents([whole]).rstrip("\n"))


def full_name(obj: JSON) -> str:
    """Return the name of an object as kubectl prints and accepts it."""
    return f"{obj['kind'].lower()}.{GROUP}/{obj['metadata']['name']}"
