from dask.distributed import Client
from dask_k8s_client import KubeCluster

cluster = KubeCluster.from_name("my-cluster")
cluster.scale(5)
client = Client(cluster)
