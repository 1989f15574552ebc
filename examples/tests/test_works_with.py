"""Jobs as other projects send them; those that need these projects are tried by `nox -s integrations`."""

import json
import re

import pytest
import yaml

WAIT = "--timeout=240s"


@pytest.fixture(scope="module")
def here(shared):
    return shared


def ended(place, job, condition):
    """The status of a job, once a field of it has a value, in the form of Argo's conditions."""
    path, value = re.fullmatch(r"(\S+) == (\S+)", condition).groups()
    place.shell(f"kubectl wait {job} --for=jsonpath={{.{path}}}={value} {WAIT}")
    return json.loads(place.shell(f"kubectl get {job} -o json"))["status"]


def test_flyte(here):
    """It reads the state of the job and the name of the runner's pod in its status."""
    here.shell("kubectl create --validate=ignore -f flyte_job.yaml", "works-with")
    status = ended(here, "daskjob/flyte-sum-n0-0", "status.jobStatus == Successful")
    assert status["clusterName"] == "flyte-sum-n0-0"
    assert status["startTime"] <= status["endTime"]
    runner = status["jobRunnerPodName"]
    assert "the sum is 14" in here.shell(f"kubectl logs {runner}").splitlines()
    assert (
        json.loads(here.shell(f"kubectl get pod {runner} -o json"))["metadata"]["labels"]["node-id"] == "n0"
    )


def test_argo(here):
    """Its step ends by the condition in the workflow."""
    workflow = yaml.safe_load(here.shell("cat argo_workflow.yaml", "works-with"))
    (template,) = workflow["spec"]["templates"]
    step = template["resource"]
    job = here.shell("kubectl create -o name -f -", stdin=step["manifest"]).strip()
    status = ended(here, job, step["successCondition"])
    assert "the sum is 14" in here.shell(f"kubectl logs {status['jobRunnerPodName']}").splitlines()
    failing = yaml.safe_load(step["manifest"])
    failing["spec"] |= {"backoffLimit": 0}
    failing["spec"]["job"]["spec"] |= {"restartPolicy": "Never"}
    failing["spec"]["job"]["spec"]["containers"][0]["args"] = ["python", "-c", "raise SystemExit(1)"]
    job = here.shell("kubectl create -o name -f -", stdin=json.dumps(failing)).strip()
    ended(here, job, step["failureCondition"])
