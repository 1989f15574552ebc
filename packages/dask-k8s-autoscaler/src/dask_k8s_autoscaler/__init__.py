"""A plugin of dask-k8s-controller: a DaskAutoscaler scales the worker groups of a cluster to its work.

It polls the scheduler for its work and patches the replicas of worker groups. The controller creates and
retires the pods.
"""
