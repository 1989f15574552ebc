"""Calls that were written for dask-kubernetes work: arguments have the same names and positions."""

import inspect

import pytest

from dask_kubernetes.operator import KubeCluster, make_cluster_spec, make_scheduler_spec, make_worker_spec

KEYWORDS = """
    name namespace image n_workers resources env worker_command port_forward_cluster_ip create_mode
    shutdown_on_close idle_timeout resource_timeout scheduler_service_type custom_cluster_spec
    scheduler_forward_port jupyter loop asynchronous quiet
"""


def test_keywords_of_a_cluster():
    parameters = inspect.signature(KubeCluster).parameters
    assert {*KEYWORDS.split()} <= parameters.keys()
    assert all(
        each.default is not each.empty for each in parameters.values() if each.kind is each.KEYWORD_ONLY
    )


@pytest.mark.parametrize(
    "function, places",
    [
        pytest.param(KubeCluster.from_name, "name", id="from_name"),
        pytest.param(KubeCluster.scale, "self n worker_group", id="scale"),
        pytest.param(KubeCluster.adapt, "self minimum maximum", id="adapt"),
        pytest.param(
            KubeCluster.add_worker_group,
            "self name n_workers image resources worker_command env custom_spec",
            id="add_worker_group",
        ),
        pytest.param(KubeCluster.delete_worker_group, "self name", id="delete_worker_group"),
        pytest.param(KubeCluster.get_logs, "self", id="get_logs"),
        pytest.param(KubeCluster.close, "self timeout", id="close"),
        pytest.param(
            make_cluster_spec,
            "name image n_workers resources env worker_command scheduler_service_type idle_timeout jupyter",
            id="make_cluster_spec",
        ),
        pytest.param(
            make_scheduler_spec,
            "cluster_name env resources image scheduler_service_type jupyter",
            id="make_scheduler_spec",
        ),
        pytest.param(make_worker_spec, "image n_workers resources env worker_command", id="make_worker_spec"),
    ],
)
def test_arguments(function, places):
    names = places.split()
    assert [*inspect.signature(function).parameters][: len(names)] == names


@pytest.mark.parametrize("name", ["dashboard_link", "jupyter_link", "scheduler_address", "get_client"])
def test_has(name):
    assert hasattr(KubeCluster, name)
