"""Workers are replaced while they compute, after an edit or on purpose, and nothing is computed twice."""

import os

import pytest
from distributed import Client, wait

from dask_k8s_client import make_cluster_spec

from .work import SIZE, computed, data, group_of, slow


@pytest.mark.core
def test_work_survives_an_edit(make, kube):
    spec = make_cluster_spec("edited", n_workers=2)
    spec["spec"]["updateStrategy"] = {"maxUnavailable": "50%"}
    cluster = make("edited", spec=spec)
    cluster.wait_for_workers(2)
    before = group_of(kube, "edited-default")
    with Client(cluster) as client:
        kept = client.map(data, range(10), pure=False)
        wait(kept)
        work = client.map(slow, kept, pure=False)
        spec["spec"]["worker"]["spec"]["containers"][0]["env"] = [{"name": "EDITED", "value": "yes"}]
        kube.apply(spec)
        assert client.gather(work) == [number + SIZE for number in range(10)]
        kube.wait("daskworkergroup/edited-default", "jsonpath={.status.updatedReplicas}=2")
        kube.wait("daskworkergroup/edited-default", "condition=Ready")
        kube.wait("daskcluster/edited", "condition=Progressing=False")
        assert not set(group_of(kube, "edited-default").values()) & set(before.values())
        cluster.wait_for_workers(2)
        assert set(client.run(os.getenv, "EDITED").values()) == {"yes"}
        keys = [future.key for future in (*kept, *work)]
        assert computed(client, keys) == dict.fromkeys(keys, 1)
        assert client.gather(kept) == [data(number) for number in range(10)]


@pytest.mark.parametrize(
    "way", ["python", pytest.param("command", marks=pytest.mark.core), "group", "rollme"]
)
def test_data_survives_a_restart(make, kube, dask, way):
    name = f"restarted-{way}"
    spec = make_cluster_spec(name, n_workers=2)
    spec["spec"]["worker"]["metadata"] = {"annotations": {"rollme": "a"}}
    cluster = make(name, spec=spec)
    cluster.wait_for_workers(2)
    before, scheduler = (
        group_of(kube, f"{name}-default"),
        kube.get(f"pod/{name}-scheduler")["metadata"]["uid"],
    )
    with Client(cluster) as client:
        kept = client.map(data, range(10), pure=False)
        wait(kept)
        if way == "python":
            cluster.restart_workers()
        elif way == "rollme":
            patch = '{"spec":{"worker":{"metadata":{"annotations":{"rollme":"b"}}}}}'
            kube("patch", "daskcluster", name, "--type=merge", "-p", patch)
        else:
            in_group = ["--group", "default"] if way == "group" else []
            assert f"/{name} restarts its workers" in dask("restart", name, *in_group)
        kube.poll(lambda: not set(group_of(kube, f"{name}-default").values()) & set(before.values()))
        kube.wait(f"daskworkergroup/{name}-default", "condition=Progressing=False")
        kube.wait(f"daskworkergroup/{name}-default", "condition=Ready")
        assert len(group_of(kube, f"{name}-default")) == 2
        assert client.gather(kept) == [data(number) for number in range(10)]
        assert computed(client, [future.key for future in kept]) == {future.key: 1 for future in kept}
    assert kube.get(f"pod/{name}-scheduler")["metadata"]["uid"] == scheduler
