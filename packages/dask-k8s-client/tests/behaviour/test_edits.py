"""A template is edited while its workers compute: they are replaced, and nothing is computed twice."""

import os

import pytest
from distributed import Client, wait

from .work import SIZE, computed, data, group_of, slow, small


@pytest.mark.timeout(300)
def test_work_survives_an_edit(make, kube):
    spec = small("edited", 4)
    spec["spec"]["updateStrategy"] = {"maxUnavailable": "50%"}
    cluster = make("edited", spec=spec, resource_timeout=240)
    cluster.wait_for_workers(4, timeout=180)
    before = group_of(kube, "edited-default")
    with Client(cluster) as client:
        kept = client.map(data, range(24), pure=False)
        wait(kept)
        work = client.map(slow, kept, pure=False)
        spec["spec"]["worker"]["spec"]["containers"][0]["env"] = [{"name": "EDITED", "value": "yes"}]
        kube.apply(spec)
        assert client.gather(work) == [number + SIZE for number in range(24)]
        kube.wait("daskworkergroup/edited-default", "jsonpath={.status.updatedReplicas}=4", timeout=180)
        kube.wait("daskworkergroup/edited-default", "condition=Ready", timeout=180)
        kube.wait("daskcluster/edited", "condition=Progressing=False", timeout=60)
        assert not set(group_of(kube, "edited-default").values()) & set(before.values())
        cluster.wait_for_workers(4, timeout=60)
        assert set(client.run(os.getenv, "EDITED").values()) == {"yes"}
        keys = [future.key for future in (*kept, *work)]
        assert computed(client, keys) == dict.fromkeys(keys, 1)
        assert client.gather(kept) == [data(number) for number in range(24)]
