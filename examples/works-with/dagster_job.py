"""A Dagster job whose steps run on a Dask cluster that lives as long as the run."""

from dagster import DagsterInstance, execute_job, job, op, reconstructable
from dagster_dask import dask_executor

CONFIG = {"execution": {"config": {"cluster": {"kube": {"n_workers": 1, "quiet": True}}}}}


@op
def numbers() -> list[int]:
    """Run on a worker."""
    return [*range(4)]


@op
def total(numbers: list[int]) -> int:
    """Run on a worker, after `numbers`."""
    return sum(number**2 for number in numbers)


@job(executor_def=dask_executor)
def sum_of_squares() -> None:
    """Run where the run was started."""
    total(numbers())


if __name__ == "__main__":
    job_here = reconstructable(sum_of_squares)
    with DagsterInstance.get() as instance, execute_job(job_here, instance, run_config=CONFIG) as result:
        print("the sum is", result.output_for_node("total"))
