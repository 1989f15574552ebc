"""Jobs submitted and followed from Python."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import yaml

from dask_k8s_client import ValidationError, jobs, make_job_spec, run_job

SUM = "from distributed import Client; c = Client(); print('sum', c.submit(sum, range(10)).result())"
SECOND_TIME = """
import pathlib
note = pathlib.Path("/notes/a")
print("again" if note.exists() else "first")
if not note.exists():
    note.touch()
    raise SystemExit(1)
"""


def job(name, code, **spec):
    """A DaskJob on a cluster that is there."""
    made = make_job_spec(name, ["python", "-u", "-c", code], cluster_name="standing", **spec)
    pod = made["spec"]["job"]["spec"]
    pod |= {"terminationGracePeriodSeconds": 1, "volumes": [{"name": "notes", "emptyDir": {}}]}
    pod["containers"][0] |= {
        "imagePullPolicy": "IfNotPresent",
        "volumeMounts": [{"name": "notes", "mountPath": "/notes"}],
    }
    return made


@pytest.mark.core
def test_a_job_on_a_cluster_of_its_own(here, kube, quick_spec, tmp_path):
    file = tmp_path / "job.yaml"
    spec = make_job_spec("alone", ["python", "-c", SUM], n_workers=1)
    quick_spec(spec["spec"]["cluster"])
    file.write_text(yaml.safe_dump(spec))
    said = []
    outcome = run_job(file, namespace=here, log=said.append)
    assert (outcome.succeeded, outcome.reason, outcome.failures) == (True, "CompletionsReached", 0)
    assert (outcome.name, outcome.namespace) == ("alone", here)
    assert outcome.start_time <= outcome.end_time
    assert said[-1] == "sum 45"
    assert "sum 45" in kube("logs", outcome.pod)
    kube.wait("daskcluster/alone", "delete")


async def test_what_is_printed_is_shown_across_restarts(here, standing, capsys):
    """As in a notebook, where an event loop runs."""
    outcome = run_job(job("restarted", SECOND_TIME), namespace=here)
    assert outcome.succeeded
    assert capsys.readouterr().out == "first\nagain\n"


def test_a_job_that_fails_is_an_outcome(here, standing):
    fails = job("fails", "print('no'); raise SystemExit(3)")
    fails["spec"]["job"]["spec"]["restartPolicy"] = "Never"
    said = []
    outcome = run_job(fails, namespace=here, log=said.append)
    assert (outcome.succeeded, outcome.reason, outcome.failures) == (False, "BackoffLimitExceeded", 1)
    assert "backoff limit" in outcome.message
    assert said == ["no"]


def test_it_goes_on_without_whoever_waited(here, kube, standing):
    """First the time-out; then the job is deleted while another call follows it."""
    with pytest.raises(TimeoutError, match=r"the job long in the namespace .* it goes on"):
        run_job(job("long", "import time; time.sleep(600)"), namespace=here, timeout="2 s")
    kube.wait("daskjob/long", "jsonpath={.status.jobStatus}=Running")
    with pytest.raises(ValueError, match=r'cannot run the job long .*"long" already exists'):
        run_job(job("long", "pass"), namespace=here)
    kube.delete("daskjob/long")

    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(
            partial(run_job, namespace=here),
            job("doomed", "print(1, end='')" + "\nimport time; time.sleep(600)"),
        )
        kube.wait("daskjob/doomed", "create")
        kube.wait("daskjob/doomed", "jsonpath={.status.jobStatus}=Running")
        kube("delete", "daskjob/doomed")
        with pytest.raises(RuntimeError, match=r"the job doomed in the namespace .* was deleted"):
            following.result(timeout=120)


def test_what_only_kubernetes_refuses(here):
    broken = job("broken", "pass")
    broken["metadata"]["labels"] = {"a": "not a label!"}
    with pytest.raises(ValidationError, match="cannot run the job broken"):
        run_job(broken, namespace=here)


def test_nobody_runs_jobs(elsewhere, monkeypatch):
    monkeypatch.setattr(jobs, "CONTROLLER_PATIENCE", 1.0)
    with pytest.raises(RuntimeError, match=r"nobody has seen the job lost .* is there a controller"):
        run_job(job("lost", "pass"), namespace=elsewhere.namespace)
