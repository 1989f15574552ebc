"""A Dask scheduler and workers in pods, and a client outside."""

import json

import pytest
from distributed import Client

pytestmark = pytest.mark.core

SCHEDULER = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "scheduler", "labels": {"role": "scheduler"}},
    "spec": {
        "containers": [
            {
                "name": "scheduler",
                "image": "ghcr.io/dask/dask:latest",
                "args": ["dask", "scheduler", "--host", "0.0.0.0"],
                "ports": [
                    {"name": "tcp-comm", "containerPort": 8786},
                    {"name": "http-dashboard", "containerPort": 8787},
                ],
                "readinessProbe": {
                    "httpGet": {"port": "http-dashboard", "path": "/health"},
                    "periodSeconds": 1,
                },
            }
        ]
    },
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "scheduler"},
    "spec": {
        "selector": {"role": "scheduler"},
        "ports": [{"name": "tcp-comm", "port": 8786, "targetPort": "tcp-comm"}],
    },
}


def worker(name, namespace):
    address = f"tcp://scheduler.{namespace}.svc.cluster.local:8786"
    container = {
        "name": "worker",
        "image": "ghcr.io/dask/dask:latest",
        "args": ["dask", "worker", "--name", "$(DASK_WORKER_NAME)", "--nthreads", "1"],
        "env": [
            {"name": "DASK_WORKER_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "DASK_SCHEDULER_ADDRESS", "value": address},
        ],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container]},
    }


def test_scheduler_and_workers(kubectl, namespace):
    items = [SCHEDULER, SERVICE, worker("one", namespace), worker("two", namespace)]
    manifest = "\n---\n".join(json.dumps(item) for item in items)
    kubectl("apply", "-n", namespace, "-f", "-", input=manifest)
    address = kubectl(
        "get", "service", "scheduler", "-n", namespace, "-o", "jsonpath={.spec.clusterIP}"
    ).stdout
    kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/scheduler", "--timeout=60s")
    with Client(f"tcp://{address}:8786", timeout=60) as client:
        client.wait_for_workers(2, timeout=60)
        total = client.submit(sum, client.map(lambda number: number**2, range(100)))
        assert total.result() == 328350
        names = {info["name"] for info in client.scheduler_info()["workers"].values()}
    assert names == {"one", "two"}
