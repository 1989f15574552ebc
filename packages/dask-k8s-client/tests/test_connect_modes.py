"""The choice of a connect mode, and the errors for modes that do not fit."""

import pytest

from dask_k8s_client import make_cluster_spec
from dask_k8s_client.connection.connect_modes import Address, ConnectMode, choose, parse

ADDRESS = Address("tcp://10.0.0.1:8786", "10.0.0.1")


@pytest.mark.parametrize(
    "connect, port_forward, way",
    [
        pytest.param("auto", None, ConnectMode.AUTO, id="nothing was said"),
        pytest.param("auto", True, ConnectMode.PORT_FORWARD, id="the older argument"),
        pytest.param("auto", False, ConnectMode.SERVICE, id="the older argument, False"),
        pytest.param("nodeport", True, ConnectMode.NODE_PORT, id="both"),
        pytest.param(ConnectMode.LOAD_BALANCER, None, ConnectMode.LOAD_BALANCER, id="itself"),
        pytest.param("tcp://10.0.0.1:8786", None, ADDRESS, id="address"),
        pytest.param("tls://[fd00::1]:443", True, Address("tls://[fd00::1]:443", "fd00::1"), id="IPv6"),
    ],
)
def test_parse(connect, port_forward, way):
    assert parse(connect, port_forward) == way


@pytest.mark.parametrize(
    "connect",
    [
        pytest.param("vpn", id="a word"),
        pytest.param("host:8786", id="no scheme"),
        pytest.param("tcp://host", id="no port"),
        pytest.param("tcp://host:port", id="a port in letters"),
        pytest.param("tcp://:8786", id="no host"),
        pytest.param(8786, id="a number"),
    ],
)
def test_not_a_way(connect):
    with pytest.raises(ValueError, match=r"^connect: .* is none of 'auto', .* such as 'tcp://host:8786'"):
        parse(connect, None)


def cluster(kind):
    spec = make_cluster_spec("foo", scheduler_service_type=kind)
    spec["metadata"]["namespace"] = "bar"
    return spec


@pytest.mark.parametrize(
    "asked, kind, in_cluster, way",
    [
        pytest.param(ConnectMode.AUTO, "ClusterIP", True, ConnectMode.SERVICE, id="inside"),
        pytest.param(
            ConnectMode.AUTO, "LoadBalancer", True, ConnectMode.SERVICE, id="inside, whatever there is"
        ),
        pytest.param(ConnectMode.AUTO, "ClusterIP", False, ConnectMode.PORT_FORWARD, id="outside"),
        pytest.param(ConnectMode.AUTO, None, False, ConnectMode.PORT_FORWARD, id="outside, no type"),
        pytest.param(ConnectMode.AUTO, "NodePort", False, ConnectMode.NODE_PORT, id="outside, node port"),
        pytest.param(
            ConnectMode.AUTO, "LoadBalancer", False, ConnectMode.LOAD_BALANCER, id="outside, load balancer"
        ),
        pytest.param(
            ConnectMode.PORT_FORWARD, "LoadBalancer", True, ConnectMode.PORT_FORWARD, id="port-forward"
        ),
        pytest.param(ConnectMode.SERVICE, "ClusterIP", False, ConnectMode.SERVICE, id="service"),
        pytest.param(
            ConnectMode.NODE_PORT, "LoadBalancer", False, ConnectMode.NODE_PORT, id="port of a load balancer"
        ),
        pytest.param(ADDRESS, "ClusterIP", False, ADDRESS, id="address"),
    ],
)
def test_choose(asked, kind, in_cluster, way):
    assert choose(asked, cluster(kind), in_cluster=in_cluster) == way


@pytest.mark.parametrize(
    "asked, kind, needed",
    [
        pytest.param(ConnectMode.LOAD_BALANCER, "ClusterIP", "LoadBalancer", id="load balancer"),
        pytest.param(ConnectMode.LOAD_BALANCER, "NodePort", "LoadBalancer", id="load balancer, node port"),
        pytest.param(ConnectMode.NODE_PORT, None, "NodePort", id="node port"),
    ],
)
def test_there_is_no_such_way(asked, kind, needed):
    message = (
        f'connect="{asked}".* foo in the namespace bar is of type {kind or "ClusterIP"}'
        f'.*scheduler_service_type="{needed}".*connect="portforward"'
    )
    with pytest.raises(ValueError, match=message):
        choose(asked, cluster(kind), in_cluster=False)
