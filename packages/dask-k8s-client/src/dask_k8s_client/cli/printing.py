"""What the commands print, in every form. What an object is like is said in view.py."""

import json
import sys
from collections.abc import Iterable, Sequence

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dask_k8s_client.aliases import JSON
from dask_k8s_crds import resources, yaml

Cell = str | Text

# Where nobody looks lines are for programs, and are not folded.
_ENDLESS = 10_000


def console(*, stderr: bool = False) -> Console:
    """Where to print: plain text, coloured for people only."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _ENDLESS
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def print_table(out: Console, head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Print columns as kubectl does: no frame, so that other programs can read them."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    last = head[-1]
    for title in head:
        # The last one has the sentences.
        table.add_column(title, no_wrap=title != last, overflow="fold")
    for row in rows:
        table.add_row(*row)
    _print(out, table)


def print_pairs(out: Console, pairs: Iterable[tuple[str, Cell]]) -> None:
    """Print names and values below each other."""
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
        click.echo(line.rstrip())  # not padded to the longest


def print_objects(objects: Sequence[JSON], form: str, *, many: bool = False) -> None:
    """Print objects as `json`, `yaml` or `name`; `many` of them as a List."""
    if form == "name":
        for each in objects:
            click.echo(full_name(each))
        return
    shown = [_without_managed_fields(each) for each in objects]
    whole = {"apiVersion": "v1", "kind": "List", "items": shown} if many else shown[0]
    click.echo(json.dumps(whole, indent=2) if form == "json" else yaml.documents([whole]).rstrip("\n"))


def full_name(obj: JSON) -> str:
    """An object as kubectl names it, and takes it."""
    singular = {each.kind: each.singular for each in resources.CUSTOM_RESOURCES}[obj["kind"]]
    return f"{singular}.{resources.GROUP}/{obj['metadata']['name']}"


def _without_managed_fields(obj: JSON) -> JSON:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}
