"""Questions about what is observed."""

import pytest

from dask_k8s_client.observed import node_addresses


def node(**addresses):
    return {"status": {"addresses": [{"type": key, "address": each} for key, each in addresses.items()]}}


@pytest.mark.parametrize(
    "status, node, addresses",
    [
        pytest.param(
            {"hostIP": "10.0.0.1"},
            node(Hostname="n1", InternalIP="10.0.0.1", ExternalIP="198.51.100.7"),
            ["198.51.100.7", "10.0.0.1"],
            id="external first",
        ),
        pytest.param({"hostIP": "10.0.0.1"}, None, ["10.0.0.1"], id="who may not read nodes"),
        pytest.param(
            {"hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]},
            node(ExternalIP="10.0.0.1"),
            ["10.0.0.1", "fd00::1"],
            id="each once",
        ),
        pytest.param({}, node(Hostname="n1"), [], id="none"),
    ],
)
def test_node_addresses(status, node, addresses):
    assert node_addresses({"status": status}, node) == addresses
