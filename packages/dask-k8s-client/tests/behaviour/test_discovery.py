"""Clusters are found by those who know nothing of Kubernetes."""

from importlib.metadata import entry_points

import pytest


@pytest.fixture
def discover():
    """As `dask-ctl` finds it."""
    (entry,) = entry_points(group="dask_cluster_discovery", name="kubecluster")
    return entry.load()


async def test_found_and_connected_to(make, discover, here):
    async with make("found", asynchronous=True, n_workers=0) as cluster:
        places = [place async for name, place in discover() if name == "found"]
        (there,) = (place for place in places if place.namespace == here)
        async with there.from_name("found", asynchronous=True) as again:
            assert again == cluster
            assert again.scheduler_info["id"] == cluster.scheduler_info["id"]


async def test_without_a_kubernetes(discover, monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert [each async for each in discover()] == []
