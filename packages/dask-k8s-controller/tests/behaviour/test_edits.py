"""A cluster follows its spec: what is edited reaches the pods, and what needs no restart restarts nothing."""

import pytest

from dask_k8s_crds import labels

from .world import going, is_ready, names, uids

WORKERS = "dask.org/component=worker"
SCHEDULER = "dask.org/component=scheduler"
DIGEST = "kubernetes.dask.org/template-digest"


def worker_spec(cluster, **changes):
    """The worker's containers with changes; lists are replaced as a whole."""
    (container,) = cluster()["spec"]["worker"]["spec"]["containers"]
    return {"spec": {"worker": {"spec": {"containers": [{**container, **changes}]}}}}


CHANGES = {
    "image": "ghcr.io/dask/dask:2026.8.0",
    "env": [{"name": "NEW", "value": "yes"}],
    "args": ["1"],
    "resources": {"requests": {"cpu": "1m"}},
}


def changed(cluster, **changes):
    """The containers of scheduler and worker with changes."""
    spec = {}
    for role in ("scheduler", "worker"):
        (container,) = cluster()["spec"][role]["spec"]["containers"]
        spec[role] = {"spec": {"containers": [{**container, **changes}]}}
    return {"spec": spec}


def follow(pods, change):
    """Whether scheduler and workers have the change, and nobody is on the way out."""
    fields = {key: value for key, value in change.items() if key != "env"}
    containers = [pod["spec"]["containers"][0] for pod in pods if not going(pod)]
    return len(pods) == len(containers) == 3 and all(
        container.items() >= fields.items()
        and all(variable in container.get("env", ()) for variable in change.get("env", ()))
        for container in containers
    )


def env(pod):
    return {found["name"]: found.get("value") for found in pod["spec"]["containers"][0]["env"]}


def replaced(before, count):
    """Whether so many others live and none of those before."""

    def holds(pods):
        alive = [pod for pod in pods if not going(pod)]
        return len(alive) == count and all(map(is_ready, alive)) and not uids(alive) & before

    return holds


@pytest.mark.core
def test_workers_follow_their_template(world, cluster):
    world.apply(cluster())
    world.workers("demo-default", 2)
    before, scheduler = uids(world.all("pods", WORKERS)), uids(world.all("pods", SCHEDULER))
    world.patch("daskcluster/demo", worker_spec(cluster, env=[{"name": "NEW", "value": "yes"}]))
    pods = world.until("pods", replaced(before, 2), WORKERS)
    assert [env(pod)["NEW"] for pod in pods if not going(pod)] == ["yes"] * 2
    assert uids(world.all("pods", SCHEDULER)) == scheduler
    world.wait("daskcluster/demo", "jsonpath={.status.updatedReplicas}=2")
    world.wait("daskcluster/demo", "condition=Progressing=False")
    world.wait("daskworkergroup/demo-default", "condition=Ready")


def test_each_edit_is_followed(world, cluster):
    """One at a time, of scheduler and workers; their pods need not run for that."""
    world.apply(cluster(hold=True))
    world.until("pods", lambda pods: len(pods) == 3)
    for number in range(1, len(CHANGES) + 1):
        change = dict(list(CHANGES.items())[:number])
        world.apply(cluster("demo", changed(cluster, **change), hold=True))
        world.until("pods", lambda pods, change=change: follow(pods, change))
    before = uids(world.all("pods"))
    labels = {role: {"metadata": {"labels": {"tier": "any"}}} for role in ("scheduler", "worker")}
    world.apply(cluster("demo", changed(cluster, **CHANGES), {"spec": labels}, hold=True))
    world.until("pods", lambda pods: all(pod["metadata"]["labels"].get("tier") == "any" for pod in pods))
    assert uids(world.all("pods")) == before


def test_edits_together(world, cluster):
    world.apply(cluster())
    world.wait("daskcluster/demo", "condition=Ready")
    before = uids(world.all("pods"))
    labels = {"metadata": {"labels": {"team": "weather"}}}
    world.apply(cluster("demo", changed(cluster, **CHANGES), labels))
    pods = world.until("pods", lambda pods: replaced(before, 3)(pods) and follow(pods, CHANGES))
    assert {pod["metadata"]["labels"]["team"] for pod in pods} == {"weather"}
    world.wait("daskcluster/demo", "jsonpath={.status.updatedReplicas}=2")
    world.wait("daskcluster/demo", "condition=Ready")


def test_never_more_are_missing_than_may_be(world, cluster):
    world.apply(cluster("demo", {"spec": {"worker": {"replicas": 4}}}))
    world.workers("demo-default", 4)
    before = uids(world.all("pods", WORKERS))
    fewest = []

    def watched(pods):
        alive = [pod for pod in pods if not going(pod)]
        fewest.append(sum(map(is_ready, alive)))
        return replaced(before, 4)(pods)

    world.patch("daskcluster/demo", worker_spec(cluster, env=[{"name": "NEW", "value": "yes"}]))
    world.until("pods", watched, WORKERS)
    assert min(fewest) == 3


def test_labels_and_annotations_restart_nothing(world, cluster):
    world.apply(cluster())
    world.wait("daskcluster/demo", "condition=Ready")
    world.workers("demo-default", 2)
    before = uids(world.all("pods"))
    (one, *_) = world.names("pods", WORKERS)
    world.kubectl("label", "pod", one, "others=own")
    metadata = {"labels": {"tier": "worker"}, "annotations": {"note": "new"}}
    labels = {"metadata": {"labels": {"team": "weather"}}, "spec": {"worker": {"metadata": metadata}}}
    world.patch("daskcluster/demo", labels)

    def labelled(pods):
        return len(pods) == 3 and all(pod["metadata"]["labels"].get("team") == "weather" for pod in pods)

    world.until("pods", labelled)
    world.until("pods", lambda pods: all(pod["metadata"]["labels"].get("tier") for pod in pods), WORKERS)
    world.wait("service/demo-scheduler", "jsonpath={.metadata.labels.team}=weather")
    gone = {"labels": {"tier": None}, "annotations": {"note": None}}
    world.patch("daskcluster/demo", {"spec": {"worker": {"metadata": gone}}})
    pods = world.until(
        "pods", lambda pods: not any("tier" in pod["metadata"]["labels"] for pod in pods), WORKERS
    )
    assert all("note" not in pod["metadata"]["annotations"] for pod in pods)
    assert world.get(f"pod/{one}")["metadata"]["labels"]["others"] == "own"
    assert uids(world.all("pods")) == before


def test_a_template_that_does_not_work_stops_and_is_mended(world, cluster):
    world.apply(cluster("demo", {"spec": {"worker": {"replicas": 3}}}))
    world.workers("demo-default", 3)
    before = uids(world.all("pods", WORKERS))
    world.patch("daskcluster/demo", worker_spec(cluster, image="registry.invalid/nothing:1"))
    condition = world.condition("daskworkergroup/demo-default", "Progressing", "ImagePullBackOff")
    assert condition["status"] == "False"
    assert "registry.invalid/nothing:1" in condition["message"]
    living = [pod for pod in world.all("pods", WORKERS) if not going(pod)]
    assert len(uids(living) & before) == 3
    world.patch("daskcluster/demo", worker_spec(cluster))
    world.workers("demo-default", 3)
    world.wait("daskworkergroup/demo-default", "condition=Ready")
    assert len(uids(world.all("pods", WORKERS)) & before) == 3


def test_all_at_once(world, cluster):
    world.apply(cluster("demo", {"spec": {"updateStrategy": {"type": "Recreate"}}}))
    world.workers("demo-default", 2)
    before = uids(world.all("pods", WORKERS))
    world.patch("daskcluster/demo", worker_spec(cluster, env=[{"name": "NEW", "value": "yes"}]))
    world.until("pods", replaced(before, 2), WORKERS)


def test_on_deletion(world, cluster):
    world.apply(cluster("demo", {"spec": {"updateStrategy": {"type": "OnDelete"}}}))
    (one, other) = world.workers("demo-default", 2)
    world.patch("daskcluster/demo", worker_spec(cluster, env=[{"name": "NEW", "value": "yes"}]))
    world.wait("daskworkergroup/demo-default", "jsonpath={.status.updatedReplicas}=0")
    assert world.workers("demo-default", 2) == {one, other}
    before = uids([world.get(f"pod/{one}")])
    world.kubectl("delete", "pod", one)
    world.until("pods", lambda pods: len(pods) == 2 and not uids(pods) & before, WORKERS)
    world.wait("daskworkergroup/demo-default", "jsonpath={.status.updatedReplicas}=1")


def test_a_group_has_its_own_strategy(world, cluster, group):
    world.apply(
        cluster(hold=True), group("demo-more", {"spec": {"updateStrategy": {"type": "OnDelete"}}}, hold=True)
    )
    kept = world.workers("demo-more", 1, ready=False)
    world.patch("daskworkergroup/demo-more", {"spec": {"worker": {"spec": {"priority": 0}}}})
    world.wait("daskworkergroup/demo-more", "jsonpath={.status.updatedReplicas}=0")
    assert world.workers("demo-more", 1, ready=False) == kept


@pytest.mark.core
def test_a_scheduler_is_replaced_and_an_event_reports_it(world, cluster):
    world.apply(cluster())
    world.wait("daskcluster/demo", "condition=Ready")
    before, workers = uids(world.all("pods", SCHEDULER)), uids(world.all("pods", WORKERS))
    (container,) = cluster()["spec"]["scheduler"]["spec"]["containers"]
    changed = {**container, "env": [{"name": "NEW", "value": "yes"}]}
    most = []

    def watched(pods):
        most.append(len(pods))
        return replaced(before, 1)(pods)

    world.patch("daskcluster/demo", {"spec": {"scheduler": {"spec": {"containers": [changed]}}}})
    world.until("pods", watched, SCHEDULER)
    assert max(most) == 1
    assert env(world.get("pod/demo-scheduler"))["NEW"] == "yes"
    assert uids(world.all("pods", WORKERS)) == workers

    def replacements(events):
        return [each for each in events if each["reason"] == "SchedulerReplaced"]

    (event,) = replacements(world.until("events", replacements))
    assert "the tasks and results that it knows of are lost" in event["message"]


@pytest.mark.parametrize("address", ["None", None], ids=["headless", "other ports"])
def test_a_service_follows_its_spec(world, cluster, address):
    world.apply(cluster(hold=True))
    (first,) = world.until("services", len)
    ports = [{"name": "tcp-comm", "port": 9786}, {"name": "http-dashboard", "port": 8787}]
    change = {"ports": ports} | ({"clusterIP": address} if address else {})
    world.patch("daskcluster/demo", {"spec": {"scheduler": {"service": change}}})
    (service,) = world.until("services", lambda found: found and found[0]["spec"]["ports"][0]["port"] == 9786)
    assert (service["spec"]["clusterIP"] == "None") is (address == "None")
    assert (uids([service]) == uids([first])) is (address is None)


def test_edits_while_the_controller_is_away(world, controller, cluster):
    world.apply(cluster())
    world.workers("demo-default", 2)
    before = uids(world.all("pods", WORKERS))
    controller.kill()
    world.patch("daskcluster/demo", worker_spec(cluster, env=[{"name": "NEW", "value": "1"}]))
    world.patch("daskcluster/demo", worker_spec(cluster, env=[{"name": "NEW", "value": "2"}]))
    controller.start()
    pods = world.until("pods", replaced(before, 2), WORKERS)
    assert {env(pod)["NEW"] for pod in pods if not going(pod)} == {"2"}


def test_pods_of_an_older_controller_are_up_to_date(world, controller, cluster):
    world.apply(cluster(hold=True))
    before = world.workers("demo-default", 2, ready=False)
    controller.kill()
    for name in before | {"demo-scheduler"}:
        world.patch(f"pod/{name}", {"metadata": {"annotations": {DIGEST: None, labels.LAST_APPLIED: None}}})
    world.patch("daskcluster/demo", {"metadata": {"labels": {"team": "weather"}}})
    controller.start()
    pods = world.until(
        "pods",
        lambda pods: all(
            DIGEST in pod["metadata"].get("annotations", {})
            and pod["metadata"]["labels"].get("team") == "weather"
            for pod in pods
        ),
    )
    assert names(pods) == before | {"demo-scheduler"}
