"""KubeCluster, one of Dask's cluster managers, and what a notebook shows of it."""
