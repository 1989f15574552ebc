"""How many workers a Dask cluster has, in which group, and when: a plugin of dask-k8s-controller.

It asks the scheduler what there is to do, and changes the replicas of worker groups. Pods are made and
retired by the controller.
"""
