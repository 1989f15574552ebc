"""The Node object of the cluster. Contains no behaviour."""

import os
import platform
import sys

from dask_k8s_local.network.addresses import Block
from dask_k8s_local.store import Object, timestamp

NAME = "dask-k8s-local"

_ALLOCATABLE = {"cpu": "512", "memory": "4Ti", "ephemeral-storage": "16Ti", "pods": "10k"}
"""More than any laptop has, so that pods with the requests of a data centre are scheduled all the same."""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def node(block: Block, version: str) -> Object:
    """Return the Node object."""
    machine = platform.machine()
    architecture = _ARCHITECTURES.get(machine, machine)
    now = timestamp()
    labels = {
        "kubernetes.io/hostname": NAME,
        "kubernetes.io/os": sys.platform,
        "kubernetes.io/arch": architecture,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NAME, "labels": labels},
        "spec": {"podCIDR": block.pod_cidr, "podCIDRs": [block.pod_cidr]},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": block.node},
                {"type": "Hostname", "address": NAME},
            ],
            "capacity": _ALLOCATABLE,
            "allocatable": _ALLOCATABLE,
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "KubeletReady",
                    "message": "kubelet is posting ready status",
                    "lastHeartbeatTime": now,
                    "lastTransitionTime": now,
                }
            ],
            "nodeInfo": {
                "architecture": architecture,
                "bootID": "",
                "containerRuntimeVersion": f"processes://{platform.python_version()}",
                "kernelVersion": platform.release(),
                "kubeProxyVersion": version,
                "kubeletVersion": version,
                "machineID": "",
                "operatingSystem": sys.platform,
                "osImage": f"Python {platform.python_version()} in {sys.prefix} ({os.cpu_count()} CPUs)",
                "systemUUID": "",
            },
        },
    }
