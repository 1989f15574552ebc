"""Workers that Dask itself ends are replaced at once; programs that keep ending wait for a back-off."""

import pytest
from distributed import Client

from dask_k8s_client import make_cluster_spec

from .work import group_of

FAILURES = "kubernetes.dask.org/failures"
SIDECAR = {"name": "sidecar", "command": ["sh", "-c", "while true; do sleep 1; done"]}


def spec_of(name, policy, *sidecars, command=None):
    spec = make_cluster_spec(name, n_workers=2)
    pod = spec["spec"]["worker"]["spec"]
    pod["restartPolicy"] = policy
    main = pod["containers"][0]
    main |= {"args": command} if command else {}
    pod["containers"] += [{**each, "image": main["image"]} for each in sidecars]
    return spec


# A lambda, because it is pickled by value: no scheduler can import this file.
workers = lambda dask_scheduler: {each.name: each.address for each in dask_scheduler.workers.values()}  # noqa: E731


def retire(client, kube, name):
    """Retire a worker, and wait until another one, or another run of it, has its place."""
    [gone] = client.retire_workers(names=[name])

    def replaced():
        now = client.run_on_scheduler(workers)
        return len(now) == 2 and gone not in now.values()

    kube.poll(replaced)


def degraded(kube, name):
    conditions = kube.get(f"daskworkergroup/{name}-default")["status"]["conditions"]
    return next(each for each in conditions if each["type"] == "Degraded")


@pytest.mark.parametrize(
    "name, policy, sidecars",
    [
        pytest.param("always", "Always", (), marks=pytest.mark.core),
        ("on-failure", "OnFailure", ()),
        ("never", "Never", ()),
        ("sidecar", "OnFailure", (SIDECAR,)),
    ],
)
def test_retired_workers_are_replaced_at_once(make, kube, name, policy, sidecars):
    name = f"retired-{name}"
    group = f"{name}-default"
    cluster = make(name, spec=spec_of(name, policy, *sidecars))
    with Client(cluster) as client:
        cluster.wait_for_workers(2)
        kube.wait(f"daskworkergroup/{group}", "condition=Ready")
        healthy = degraded(kube, name)
        assert healthy["status"] == "False"
        [(chosen, uid), _] = group_of(kube, group).items()
        # With `Always`, the kubelet restarts the container, the first time without a back-off.
        for _ in range(2 if policy == "Always" else 1):
            retire(client, kube, chosen)
    assert uid not in group_of(kube, group).values()
    kube.wait(f"daskworkergroup/{group}", "condition=Ready")
    own = group_of(kube, group)
    pods = [each["metadata"] for each in kube.get("pods")["items"] if each["metadata"]["name"] in own]
    assert [each["name"] for each in pods if FAILURES in each["annotations"]] == []
    assert degraded(kube, name) == healthy, "it has been true in between"


CRASH = {"Always": "CrashLoopBackOff", "OnFailure": "PodCompleted", "Never": "PodCompleted"}
WAIT = {"Always": "the kubelet restarts it", "OnFailure": "after a back-off", "Never": "after a back-off"}


@pytest.mark.parametrize("policy", CRASH)
def test_a_command_that_is_no_worker_is_trouble(kube, quick_spec, policy):
    name = f"no-worker-{policy.lower()}"
    kube.apply(quick_spec(spec_of(name, policy, command=["true"])))
    kube.wait(f"daskcluster/{name}", "condition=SchedulerReady")
    kube.wait(f"daskcluster/{name}", "condition=Degraded")
    kube.poll(lambda: WAIT[policy] in degraded(kube, name)["message"])
    found = degraded(kube, name)
    kube.delete(f"daskcluster/{name}")
    assert (found["status"], found["reason"]) == ("True", CRASH[policy])
    assert "exit code 0 (Completed)" in found["message"]
