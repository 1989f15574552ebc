"""Run real graphs on a real scheduler, and record their shapes for the simulations of the autoscaler.

A shape has the kinds of tasks, and for each task its kind, its duration in seconds, the bytes of its result,
whether it is restricted to certain workers, and the tasks that it needs. Durations are recorded in hundredths
of a second and stand for seconds.
"""

import asyncio
import json
import time
from pathlib import Path

import dask
from distributed import Client, LocalCluster

SHAPES = Path(__file__).parent
SLOWER = 100
"""How much longer a task takes in a simulation than here."""


def part(number, seconds=0.04):
    time.sleep(seconds)
    return bytes(1000 + number % 7)


def merge(*parts):
    time.sleep(0.02)
    return parts[0]


def unpack(*parts):
    time.sleep(0.08)
    return parts[0]


def piece(whole, number):
    time.sleep(0.005)
    return whole[number : number + 80]


def mapped(client, workers):
    return client.map(part, range(200), pure=False)


def reduced(client, workers):
    level = [dask.delayed(part)(number) for number in range(128)]
    while len(level) > 1:
        level = [dask.delayed(merge)(*level[at : at + 4]) for at in range(0, len(level), 4)]
    return client.compute(level)


def shuffled(client, workers):
    """Every output needs a piece of every input, as in a shuffle of a DataFrame by tasks."""
    inputs = [dask.delayed(part)(number) for number in range(14)]
    outputs = [
        dask.delayed(merge)(*(dask.delayed(piece)(each, number) for each in inputs)) for number in range(14)
    ]
    return client.compute(outputs)


def pinned(client, workers):
    """Each output is restricted to one worker, as in a peer-to-peer shuffle."""
    inputs = [dask.delayed(part)(number) for number in range(40)]
    outputs = []
    for number in range(40):
        with dask.annotate(workers=[workers[number % 2]]):
            outputs.append(dask.delayed(unpack)(*inputs))
    return client.compute(outputs, optimize_graph=False)


def long(client, workers):
    return client.map(part, range(20), seconds=4.0, pure=False)


async def recorded(dask_scheduler):
    """Return the shape of all tasks as soon as the scheduler has got them."""
    while not dask_scheduler.tasks:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    tasks = list(dask_scheduler.tasks.values())
    kinds = sorted({task.prefix.name for task in tasks})
    places = {task: place for place, task in enumerate(tasks)}
    return kinds, [
        [
            kinds.index(task.prefix.name),
            task.nbytes,
            bool(task.worker_restrictions),
            sorted(places[each] for each in task.dependencies),
            task.key,
        ]
        for task in tasks
    ]


def main():
    with LocalCluster(n_workers=4, threads_per_worker=8, processes=False, dashboard_address=":0") as cluster:
        for shape in (mapped, reduced, shuffled, pinned, long):
            with Client(cluster) as client:
                client.get_task_stream()  # from now on
                futures = shape(client, list(client.scheduler_info(n_workers=-1)["workers"]))
                ran = {}
                kinds, tasks = client.run_on_scheduler(recorded)
                client.gather(futures)
                for entry in client.get_task_stream():
                    compute = next(each for each in entry["startstops"] if each["action"] == "compute")
                    ran[entry["key"]] = (
                        round((compute["stop"] - compute["start"]) * SLOWER, 1),
                        entry["nbytes"],
                    )
                tasks = [[kind, *ran[key], restricted, needs] for kind, _, restricted, needs, key in tasks]
                text = ",\n".join(json.dumps(task, separators=(",", ":")) for task in tasks)
                SHAPES.joinpath(f"{shape.__name__}.json").write_text(
                    f'{{"kinds": {json.dumps(kinds)}, "tasks": [\n{text}\n]}}\n'
                )


if __name__ == "__main__":
    main()
