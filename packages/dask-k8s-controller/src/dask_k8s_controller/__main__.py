"""`python -m dask_k8s_controller` is the command line."""

from dask_k8s_controller.app.cli import main

main(prog_name="dask-k8s-controller")
