"""The start of a cluster: its deadline, and the panel that shows its progress."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from dask_k8s_client.diagnosis import Diagnosis
from dask_k8s_client.exceptions import SchedulerStartupTimeout
from dask_k8s_client.observed import Observed, explanation, last_event, phase, true_condition

logger = logging.getLogger("dask_k8s_client")

_FRAMES_PER_SECOND = 8
_EXPECTED_REASONS = (
    *("Pending", "NotReady", "NoScheduler", "NoController"),
    *("SchedulerMissing", "SchedulerNotReady", "ServiceMissing"),
)
"""Reasons that only mean that the start takes time."""


class _Cell:
    """An output of a notebook cell that is replaced with each frame. It needs no widgets."""

    def __init__(self) -> None:
        self._ipython: Any = import_module("IPython.display")  # a notebook has it
        self._handle: Any = None

    def start(self) -> None:
        """Do nothing: the first frame makes the output."""

    def update(self, frame: RenderableType, *, refresh: bool) -> None:  # noqa: ARG002  # the interface of rich's Live
        """Replace the output by this frame."""
        if self._handle is None:
            self._handle = self._ipython.display(frame, display_id=True)
        else:
            self._handle.update(frame)

    def stop(self) -> None:
        """Empty the output."""
        if self._handle is not None:
            self._handle.update(self._ipython.HTML(""))


class Progress:
    """A live panel; `step` and `show` change its content."""

    def __init__(self, name: str, *, quiet: bool, console: Console | None = None) -> None:
        self._console = console or Console()
        self.name = name
        self.doing = "connecting to Kubernetes"
        self.hint = ""
        self._rows: list[tuple[str, Text]] = []
        self._trouble: Text | None = None
        self._quiet = quiet
        # The fonts of browsers do not align dots and frames.
        self._spinner = Spinner("line" if self._console.is_jupyter else "dots")
        self._live: Live | _Cell | None = None
        self._refresh: asyncio.Task[None] | None = None
        if not quiet and self._console.is_jupyter:
            self._live = _Cell()
        elif not quiet and self._console.is_terminal:
            # Refresh from our event loop: rich's thread would draw while other code prints.
            self._live = Live(self._panel(), console=self._console, auto_refresh=False, transient=True)

    async def __aenter__(self) -> Self:
        if self._live is not None:
            self._live.start()
            self._refresh = asyncio.create_task(self._draw())
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._refresh is not None:
            self._refresh.cancel()
        if self._live is not None:
            self._live.stop()

    def step(self, text: str, hint: str = "") -> None:
        """Set the current step, and what to try if it does not end. Messages say "still" before it."""
        self.doing, self.hint = text, hint

    def show(self, observed: Observed, diagnosis: Diagnosis | None) -> None:
        """Show what is observed of the scheduler."""
        self.step("waiting for the scheduler")
        self._rows = rows(observed)
        before, self._trouble = self._trouble, trouble(observed, diagnosis)
        if self._trouble is not None and self._trouble != before and self._live is None and not self._quiet:
            # No panel shows it, as in a script whose output is a file.
            logger.warning("the cluster %s waits: %s", self.name, self._trouble.plain)

    async def _draw(self) -> None:
        while self._live is not None:
            self._live.update(self._panel(), refresh=True)
            await asyncio.sleep(1 / _FRAMES_PER_SECOND)

    def _panel(self) -> Panel | Padding:
        self._spinner.update(text=Text(f"{self.doing} …"))
        table = Table.grid(padding=(0, 2))
        for label, text in self._rows:
            table.add_row(Text(label, style="bold"), text)
        parts: list[RenderableType] = [self._spinner, *([table] if self._rows else [])]
        parts += [self._trouble] if self._trouble else []
        title = f"KubeCluster [bold]{self.name}[/bold]"
        if self._console.is_jupyter:
            return Padding(Group(Text.from_markup(title), *parts), 0)
        return Panel(Group(*parts), title=title, title_align="left", width=min(self._console.width, 80))


def rows(observed: Observed) -> list[tuple[str, Text]]:
    """Return the rows of the panel: labels and states."""
    status = observed.status
    cluster = str(status.get("phase") or ("seen by the controller" if status else "created"))
    result = [("Cluster", Text(cluster))]
    if observed.pod is not None:
        event = last_event(observed)
        is_ready = observed.pod_is_ready
        doing = f": {event.get('message', '')}" if event and not is_ready else ""
        state, style = ("Ready", "green") if is_ready else (phase(observed.pod), "yellow")
        result.append(("Scheduler", Text.assemble((state, style), doing, overflow="ellipsis", no_wrap=True)))
    if status.get("workers"):
        result.append(("Workers", Text(f"{status['workers']} ready")))
    return result


def trouble(observed: Observed, diagnosis: Diagnosis | None) -> Text | None:
    """Return the problem to show, if it is more than that the start takes time."""
    if diagnosis is not None and diagnosis.reason not in _EXPECTED_REASONS:
        return Text(f"{diagnosis.reason}: {diagnosis.message}", style="yellow")
    degraded = true_condition(observed.status, "Degraded")
    return Text(explanation(degraded), style="yellow") if degraded else None


class Deadline:
    """One deadline for all steps of a start."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.at = asyncio.get_running_loop().time() + seconds

    @asynccontextmanager
    async def enforced(self, progress: Progress, spare: float = 0) -> AsyncIterator[None]:
        """Cancel the block, which may take `spare` seconds, and raise a SchedulerStartupTimeout."""
        try:
            async with asyncio.timeout_at(self.at - spare) as timeout:
                yield
        except TimeoutError as error:
            if not timeout.expired():
                raise
            late = f"the cluster {progress.name} did not start within {self.seconds:.0f} s"
            hint = f"; {progress.hint}" if progress.hint else ""
            raise SchedulerStartupTimeout(f"{late}: still {progress.doing}{hint}") from error
