"""Jobs in a namespace whose quota demands that each pod sets its resources."""

import json
import secrets

import pytest

from dask_k8s_client import make_job_spec, run_job
from dask_k8s_controller.testing import ControllerProcess

from .commands import call, end, started

LIMITS = {"limits": {"cpu": "1", "memory": "1Gi"}}
RESOURCES = json.dumps(LIMITS)


@pytest.fixture(scope="module")
def limited(kubectl, kubectl_in, crds):
    """A namespace with such a quota, and a controller for it."""
    with (
        kubectl.new_namespace(f"limited-{secrets.token_hex(4)}") as here,
        ControllerProcess(kubectl.kubeconfig, f"--namespace={here.namespace}", "--log-format=plain"),
    ):
        limited = kubectl_in(here.namespace)
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "limits"}}
        limited.apply(quota | {"spec": {"hard": {"limits.cpu": "20", "limits.memory": "40Gi"}}})
        limited.wait("resourcequota/limits", "jsonpath={.status.hard}")
        yield limited


@pytest.mark.core
def test_run_job_says_what_it_waits_for(limited, kubeconfig, caplog):
    job = make_job_spec("unset", ["true"], n_workers=0, resources=LIMITS, scheduler_resources=LIMITS)
    for timeout in (5, 120):  # it times out sooner where the scheduler starts soon
        with pytest.raises(
            TimeoutError, match=r"the job unset.* has not ended within .*; it goes on"
        ) as raised:
            run_job(job, namespace=limited.namespace, timeout=timeout)
        limited("delete", "daskjob/unset")
        if "RunnerMissing" in str(raised.value):
            break
    assert "; it waits: RunnerMissing: Job unset-runner cannot create its pod: " in str(raised.value)
    assert "must specify limits.cpu for: job" in str(raised.value)
    assert "runner_resources" in str(raised.value)
    assert "must specify limits.cpu for: job" in caplog.text


def test_run_prints_what_it_waits_for(limited, kubeconfig):
    args = ("-n", limited.namespace, "run", "refused", "--n-workers", "0", "--resources", RESOURCES)
    with started(*args, "--", "true") as process:
        for text in process.stderr:
            if "must specify limits.cpu for: scheduler" in text:
                break
        assert text.startswith("the job refused waits: ")
        assert "scheduler_resources" in text
        limited.delete("daskjob/refused")
        end(process, 1)


@pytest.mark.core
def test_with_resources_for_each_pod_it_runs(limited, kubeconfig):
    resources = [f"--{of}resources={RESOURCES}" for of in ("", "scheduler-", "runner-")]
    printed = call("-n", limited.namespace, "run", "set", "--n-workers=0", *resources, "--", "echo", "done")
    assert printed.splitlines()[-1] == "done"
