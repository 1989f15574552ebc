"""The controller as a program: command line, wiring, health, metrics, plugins.

This package assembles the other two; no decision about Dask or about Kubernetes objects is made here.
"""
