"""A queue of jobs: so many at a time, in the order in which they came. Kueue does the same, and much more.

    python admit.py --namespace default --at-a-time 1

A job with the label `example.org/queue` and `suspend: true` waits, without a pod, until that is `false`.
"""

from argparse import ArgumentParser

from kubernetes import client, config, watch

parser = ArgumentParser()
parser.add_argument("--namespace", default="default")
parser.add_argument("--at-a-time", type=int, default=1)
options = parser.parse_args()

config.load_config()
api = client.CustomObjectsApi()
daskjobs = {
    "group": "kubernetes.dask.org",
    "version": "v1",
    "plural": "daskjobs",
    "namespace": options.namespace,
}


def admit() -> None:
    """Let as many run as there is room for."""
    jobs = api.list_namespaced_custom_object(**daskjobs, label_selector="example.org/queue")["items"]
    jobs = [job for job in jobs if not job.get("status", {}).get("endTime")]
    waiting = [job for job in jobs if job["spec"].get("suspend")]
    waiting.sort(key=lambda job: (job["metadata"]["creationTimestamp"], job["metadata"]["name"]))
    free = options.at_a_time - (len(jobs) - len(waiting))
    for job in waiting[: max(free, 0)]:
        name = job["metadata"]["name"]
        api.patch_namespaced_custom_object(**daskjobs, name=name, body={"spec": {"suspend": False}})
        print("runs:", name, flush=True)


for _ in watch.Watch().stream(
    api.list_namespaced_custom_object, **daskjobs, label_selector="example.org/queue"
):
    admit()
