"""The controller as a program: command line, wiring, health endpoints, metrics, plugin loading, manifests.

This package assembles `dask_k8s_controller.dask` and `.runtime`, and decides nothing about objects.
"""
