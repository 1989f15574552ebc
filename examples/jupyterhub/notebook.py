"""What a notebook does: a cluster in its own namespace, that goes when the notebook's pod goes."""

from dask.distributed import Client

from dask_k8s_client import KubeCluster

cluster = KubeCluster(name="from-notebook", n_workers=1)
client = Client(cluster)
print(client.submit(pow, 7, 5).result())
cluster.close()
