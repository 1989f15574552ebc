"""Loopback addresses of servers, and addresses and ports of Services."""

import socket

import pytest

from dask_k8s_local.network.addresses import AddressesExhausted, Block, Pool
from dask_k8s_local.network.service_addresses import CannotAssign, ServiceAddresses


@pytest.fixture
def block():
    block = Block.reserve()
    yield block
    block.close()


def test_two_servers_have_different_blocks(block):
    other = Block.reserve()
    other.close()
    assert other.node != block.node


def test_every_address_can_be_bound(block):
    for address in (block.node, block.pods.take(), block.services.take()):
        with socket.socket() as server:
            server.bind((address, 0))


def test_an_address_is_not_used_again_at_once():
    pool = Pool(0x7F010101, 3)
    first, second = pool.take(), pool.take()
    pool.release(first)
    assert [first, second, pool.take()] == ["127.1.1.1", "127.1.1.2", "127.1.1.3"]
    assert pool.take() == first
    with pytest.raises(AddressesExhausted):
        pool.take()


def service(**spec):
    return {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}], **spec}}


def test_cluster_ip(block):
    addresses = ServiceAddresses(block)
    web = addresses.assign(service())
    assert block.services.holds(web["spec"]["clusterIP"])
    assert web["spec"]["clusterIPs"] == [web["spec"]["clusterIP"]]
    assert addresses.assign(service(), web) == web
    assert addresses.assign(service())["spec"]["clusterIP"] != web["spec"]["clusterIP"]


def test_headless(block):
    assert ServiceAddresses(block).assign(service(clusterIP="None"))["spec"]["clusterIPs"] == ["None"]


def test_node_port(block):
    addresses = ServiceAddresses(block)
    web = addresses.assign(service(type="NodePort"))
    number = web["spec"]["ports"][0]["nodePort"]
    assert 30000 <= number <= 32767
    assert addresses.assign(service(type="NodePort"), web) == web
    with pytest.raises(CannotAssign, match="provided port is already allocated"):
        addresses.assign(service(type="NodePort", ports=[{"port": 80, "nodePort": number}]))
    addresses.release(web)
    assert addresses.assign(web) == web


@pytest.mark.parametrize(
    "spec, message",
    [
        pytest.param({"clusterIP": "10.0.0.1"}, "is not in the valid range", id="outside"),
        pytest.param({"clusterIP": "nonsense"}, "must be a valid IP address", id="no-address"),
        pytest.param(
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]},
            "The range of valid ports is 30000-32767",
            id="node-port-outside",
        ),
    ],
)
def test_refused(block, spec, message):
    with pytest.raises(CannotAssign, match=message):
        ServiceAddresses(block).assign(service(**spec))


def test_address_taken(block):
    addresses = ServiceAddresses(block)
    web = addresses.assign(service())
    with pytest.raises(CannotAssign, match="provided IP is already allocated"):
        addresses.assign(web)
