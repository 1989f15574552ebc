"""The autoscaler and the job work together, and neither knows the other."""

from pathlib import Path

import yaml

JOB = Path(__file__).parent.parent / "announcement" / "my-job.yaml"
CODE = "from distributed import Client; Client().wait_for_workers(2, timeout=200)"
AUTOSCALER = """
apiVersion: kubernetes.dask.org/v1
kind: DaskAutoscaler
metadata: {name: my-job}
spec: {cluster: my-job, minimum: 2, maximum: 2}
"""


def test_the_cluster_of_a_job_is_scaled(shell, controller):
    controller()
    job = yaml.safe_load(JOB.read_text())
    spec = job["spec"]["cluster"]["spec"]
    spec["worker"]["replicas"] = 1
    scheduler = spec["scheduler"]["spec"]["containers"][0]
    scheduler["readinessProbe"] |= {"initialDelaySeconds": 0, "periodSeconds": 1}
    pod = job["spec"]["job"]["spec"]
    del pod["volumes"], pod["containers"][0]["volumeMounts"]
    pod["containers"][0]["args"] = ["python", "-c", CODE]
    shell("kubectl apply -f -", stdin=yaml.safe_dump(job))
    shell("kubectl apply -f -", stdin=AUTOSCALER)
    shell("kubectl wait daskjob my-job --for=condition=Complete --timeout=240s")
    for goes in ("daskcluster", "daskautoscaler"):
        shell(f"kubectl wait {goes} my-job --for=delete --timeout=240s")
