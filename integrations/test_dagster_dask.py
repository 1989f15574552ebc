"""Dagster: runs whose steps are on Kubernetes, with a released dagster-dask."""


def test_steps_of_a_run(here, run, tmp_path):
    """Dagster calls the cluster as the job, `sum_of_squares`, which is no name on Kubernetes."""
    home = tmp_path / "dagster"
    home.mkdir()
    printed = run("dagster_job.py", DAGSTER_HOME=str(home), PYTHONWARNINGS="default")
    assert "the sum is 14" in printed.splitlines()
    assert "FutureWarning: dask_kubernetes.KubeCluster is the operator's class now" in printed
    assert "so the cluster is called 'sum-of-squares'" in printed
    assert not here.all("daskclusters")
