"""Work that shows what is lost: how often each part was computed, and by which workers."""

import time
from collections import Counter

SIZE = 100_000

# Lambdas, because they are pickled by value: no worker can import this file.
data = lambda number: bytes([number]) * SIZE  # noqa: E731
slow = lambda block: (time.sleep(0.5), block[0] + len(block))[1]  # noqa: E731


def computed(client, keys):
    """Return how often each key was computed, from the scheduler's log."""

    def story(dask_scheduler):
        return dask_scheduler.story(*keys)

    return Counter(
        key
        for key, start, finish, *_ in client.run_on_scheduler(story)
        if (start, finish) == ("processing", "memory")
    )


def group_of(kube, name):
    pods = kube.get("pods")["items"]
    return {
        pod["metadata"]["name"]: pod["metadata"]["uid"]
        for pod in pods
        if pod["metadata"].get("labels", {}).get("dask.org/workergroup-name") == name
        and "deletionTimestamp" not in pod["metadata"]
    }
