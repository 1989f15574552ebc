"""The display of a cluster's start."""

import asyncio
import io

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from rich.console import Console
from traitlets.config import Config

from dask_k8s_client import SchedulerStartupTimeout
from dask_k8s_client.diagnosis import Diagnosis
from dask_k8s_client.observed import Observed
from dask_k8s_client.progress import Deadline, Progress, rows, trouble

CLUSTER = {"metadata": {"name": "foo"}, "status": {"phase": "Pending", "workers": "1/3"}}
POD = {
    "metadata": {"name": "foo-scheduler", "uid": "p", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "status": {"phase": "Pending"},
}
PULLING = {
    "involvedObject": {"uid": "p"},
    "type": "Normal",
    "reason": "Pulling",
    "message": "Pulling image x",
}
READY = POD | {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}


@pytest.mark.parametrize(
    "observed, shown",
    [
        pytest.param(Observed({"metadata": {}}, ()), {"Cluster": "created"}, id="new"),
        pytest.param(
            Observed(CLUSTER, (POD,), (PULLING,)),
            {"Cluster": "Pending", "Scheduler": "Pending: Pulling image x", "Workers": "1/3 ready"},
            id="pulling",
        ),
        pytest.param(
            Observed(CLUSTER, (READY,), (PULLING,)),
            {"Cluster": "Pending", "Scheduler": "Ready", "Workers": "1/3 ready"},
            id="ready",
        ),
    ],
)
def test_rows(observed, shown):
    assert {label: text.plain for label, text in rows(observed)} == shown


@pytest.mark.parametrize(
    "finding, shown",
    [
        pytest.param(None, None, id="ready"),
        pytest.param(Diagnosis("Pending", "it takes its time"), None, id="only time"),
        pytest.param(Diagnosis("Unschedulable", "no node"), "Unschedulable: no node", id="more"),
    ],
)
def test_trouble(finding, shown):
    text = trouble(Observed(CLUSTER, (POD,)), finding)
    assert (text and text.plain) == shown


def test_trouble_of_the_workers():
    degraded = {"type": "Degraded", "status": "True", "reason": "QuotaExceeded", "message": "pods: 3/3"}
    observed = Observed(CLUSTER | {"status": {"conditions": [degraded]}}, (READY,))
    assert trouble(observed, None).plain == "QuotaExceeded: pods: 3/3"


async def drawn(*, terminal, quiet):
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=60)
    async with Progress("foo", quiet=quiet, console=console) as progress:
        progress.show(Observed(CLUSTER, (POD,), (PULLING,)), Diagnosis("Pending", ""))
        await asyncio.sleep(0)  # one turn of the loop is one drawing
    return out.getvalue()


async def test_terminal():
    text = await drawn(terminal=True, quiet=False)
    assert "KubeCluster" in text
    assert "Pulling image x" in text


@pytest.mark.parametrize(
    "terminal, quiet", [pytest.param(True, True, id="quiet"), pytest.param(False, False, id="no terminal")]
)
async def test_nothing_where_nobody_looks(terminal, quiet):
    assert await drawn(terminal=terminal, quiet=quiet) == ""


async def test_without_a_panel_trouble_is_logged_once(caplog):
    finding = Diagnosis("WebhookFailed", "create Service foo-scheduler: nobody answers")
    async with Progress("foo", quiet=False, console=Console(file=io.StringIO())) as progress:
        for _ in range(3):
            progress.show(Observed(CLUSTER, (READY,)), finding)
    messages = [record.getMessage() for record in caplog.records]
    expected = "WebhookFailed: create Service foo-scheduler: nobody answers"
    assert messages == [f"the cluster foo waits: {expected}"]


@pytest.fixture
def shell():
    """The shell of a notebook's kernel."""
    yield InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    InteractiveShell.clear_instance()


async def test_notebook(shell):
    """There is one output, which is replaced and finally emptied."""
    with capture_output() as captured:
        async with Progress("foo", quiet=False, console=Console(force_jupyter=True)) as progress:
            progress.show(Observed(CLUSTER, (POD,), (PULLING,)), None)
            await asyncio.sleep(0)
    first, *others = captured.outputs
    assert "KubeCluster" in first.data["text/html"]
    assert others[-1].data["text/html"] == ""


@pytest.mark.parametrize(
    "hint, end",
    [pytest.param("", "still at it$", id="none"), pytest.param("do so", "at it; do so$", id="one")],
)
async def test_late(hint, end):
    """The message after the deadline."""
    async with Progress("foo", quiet=True) as progress:
        progress.step("at it", hint)
        with pytest.raises(SchedulerStartupTimeout, match=end):
            async with Deadline(0).enforced(progress):
                await asyncio.sleep(60)
