"""A scheduler whose addresses are those of IPv6."""

import pytest

from dask_k8s_controller.dask.scheduler.agent_client import AgentEndpoint, Agents, Successors
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_crds.resources import PODS


async def test_everything_works_where_all_addresses_are_of_ipv6(world):
    await world.start("--host", "[::1]", "--dashboard-address", ":0")
    await world.workers("mine", "other", host="[::1]")
    async with Agents() as agents:
        address = world.url.removeprefix("http://")
        agent = agents.at(AgentEndpoint(Key(PODS, "ns", "c-scheduler"), address, world.token))
        assert sum(load.workers for load in (await agent.demand()).loads) == 2
        assert (await agent.retire({"mine": "", "other": ""}, 1, Successors())).gone


@pytest.mark.parametrize("ips", ["fd00::1,127.0.0.1", "127.0.0.1,fd00::1"])
async def test_pods_have_addresses_of_both_families(dask, ips):
    await dask.workers("mine")
    pods = {"pod": ips.partition(",")[0], "other": "10.0.0.9"}
    status, answer = await dask.ask("POST", "known", json={"pods": pods, "ips": {"pod": ips}})
    assert (status, answer) == (200, {"known": ["pod"]})


@pytest.mark.parametrize("ip", ["::1", "0:0::1", "::0001"])
async def test_ipv6_addresses_have_many_forms(world, ip):
    await world.start("--host", "[::1]", "--dashboard-address", ":0")
    await world.workers("mine", host="[::1]")
    status, answer = await world.ask("POST", "known", json={"pods": {"pod": ip, "other": "::2"}})
    assert (status, answer) == (200, {"known": ["pod"]})
