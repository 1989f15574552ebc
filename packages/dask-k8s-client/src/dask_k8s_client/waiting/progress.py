"""What people see while a cluster starts: a panel on a terminal or in a notebook, nothing anywhere else."""

import asyncio
from importlib import import_module
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from dask_k8s_client.waiting.diagnose import Finding
from dask_k8s_client.waiting.observed import Observed, find_condition, last_event, phase

_FRAMES_PER_SECOND = 8


class _Cell:
    """An output of a notebook's cell, replaced with each frame. Needs no widgets, catches no prints."""

    def __init__(self) -> None:
        self._ipython: Any = import_module("IPython.display")  # is there, where a notebook is
        self._handle: Any = None

    def start(self) -> None:
        """Nothing is shown before the first frame."""

    def update(self, frame: RenderableType, *, refresh: bool) -> None:  # noqa: ARG002  # as rich has it
        """Show it."""
        if self._handle is None:
            self._handle = self._ipython.display(frame, display_id=True)
        else:
            self._handle.update(frame)

    def stop(self) -> None:
        """Leave nothing."""
        if self._handle is not None:
            self._handle.update(self._ipython.HTML(""))


class Progress:
    """A live panel; `step` and `show` change what it says."""

    def __init__(self, name: str, *, quiet: bool, console: Console | None = None) -> None:
        self._console = console or Console()
        self.name = name
        self.doing = "connecting to Kubernetes"
        self.hint = ""
        self._rows: list[tuple[str, Text]] = []
        self._trouble: Text | None = None
        # In a browser neither dots nor frames are as wide as they should be.
        self._spinner = Spinner("line" if self._console.is_jupyter else "dots")
        self._live: Live | _Cell | None = None
        self._refresh: asyncio.Task[None] | None = None
        if not quiet and self._console.is_jupyter:
            self._live = _Cell()
        elif not quiet and self._console.is_terminal:
            # Drawn from our own loop: rich's thread would draw while others print.
            self._live = Live(self._panel(), console=self._console, auto_refresh=False, transient=True)

    async def __aenter__(self) -> Self:
        if self._live is not None:
            self._live.start()
            self._refresh = asyncio.create_task(self._draw())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._refresh is not None:
            self._refresh.cancel()
        if self._live is not None:
            self._live.stop()

    def step(self, text: str, hint: str = "") -> None:
        """Say what is being done now ("still" goes before it), and what to try if that does not end."""
        self.doing, self.hint = text, hint

    def show(self, observed: Observed, finding: Finding | None) -> None:
        """What is there."""
        self.step("waiting for the scheduler")
        self._rows = rows(observed)
        self._trouble = trouble(observed, finding)

    async def _draw(self) -> None:
        while self._live is not None:
            self._live.update(self._panel(), refresh=True)
            await asyncio.sleep(1 / _FRAMES_PER_SECOND)

    def _panel(self) -> Panel | Padding:
        self._spinner.update(text=Text(f"{self.doing} …"))
        table = Table.grid(padding=(0, 2))
        for label, text in self._rows:
            table.add_row(Text(label, style="bold"), text)
        parts: list[RenderableType] = [
            self._spinner,
            *([table] if self._rows else []),
            *([self._trouble] if self._trouble else []),
        ]
        title = f"KubeCluster [bold]{self.name}[/bold]"
        if self._console.is_jupyter:
            return Padding(Group(Text.from_markup(title), *parts), 0)
        return Panel(Group(*parts), title=title, title_align="left", width=min(self._console.width, 80))


def rows(observed: Observed) -> list[tuple[str, Text]]:
    """Label and state of everything that matters."""
    status = observed.status
    cluster = str(status.get("phase") or ("seen by the controller" if status else "created"))
    found = [("Cluster", Text(cluster))]
    if observed.pod is not None:
        event = last_event(observed)
        doing = f": {event.get('message', '')}" if event and not observed.is_ready else ""
        state = "Ready" if observed.is_ready else phase(observed.pod)
        style = "green" if observed.is_ready else "yellow"
        found.append(("Scheduler", Text.assemble((state, style), doing, overflow="ellipsis", no_wrap=True)))
    if status.get("workers"):
        found.append(("Workers", Text(f"{status['workers']} ready")))
    return found


def trouble(observed: Observed, finding: Finding | None) -> Text | None:
    """What stands in the way, if it is more than time."""
    if finding is not None and finding.reason not in ("Pending", "NotReady", "NoScheduler", "NoController"):
        return Text(f"{finding.reason}: {finding.message}", style="yellow")
    degraded = find_condition(observed.status, "Degraded")
    if degraded.get("status") == "True":
        return Text(f"{degraded.get('reason', '')}: {degraded.get('message', '')}", style="yellow")
    return None
