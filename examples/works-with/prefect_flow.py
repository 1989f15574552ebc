"""A Prefect flow whose tasks run on a Dask cluster that lives as long as the flow."""

from prefect import flow, task
from prefect_dask import DaskTaskRunner

runner = DaskTaskRunner(
    cluster_class="dask_k8s_client.KubeCluster",
    cluster_kwargs={"name": "prefect-{uuid}", "n_workers": 1, "quiet": True},
    adapt_kwargs={"minimum": 1, "maximum": 3},
)


@task
def square(number: int) -> int:
    """Run on a worker."""
    return number**2


@flow(task_runner=runner)
def sum_of_squares(limit: int) -> int:
    """Run where the flow was started."""
    return sum(square.map(range(limit)).result())


if __name__ == "__main__":
    print("the sum is", sum_of_squares(4))
