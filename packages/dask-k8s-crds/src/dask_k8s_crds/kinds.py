"""Our kinds: what they are called in every form that Kubernetes knows. No fields."""

from dataclasses import dataclass

GROUP = "kubernetes.dask.org"
VERSION = "v1"
API_VERSION = f"{GROUP}/{VERSION}"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of namespaced custom resource."""

    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...] = ()
    group: str = GROUP
    version: str = VERSION

    @property
    def api_version(self) -> str:
        """As `apiVersion` of an object names it."""
        return f"{self.group}/{self.version}"

    @property
    def crd_name(self) -> str:
        """Name of the CustomResourceDefinition."""
        return f"{self.plural}.{self.group}"


# Users have had "daskcluster" as a short name too, although it is the singular.
DASK_CLUSTER = Kind("DaskCluster", "daskclusters", "daskcluster", ("daskcluster", "dsk"))
DASK_WORKER_GROUP = Kind("DaskWorkerGroup", "daskworkergroups", "daskworkergroup", ("daskworkers",))
DASK_AUTOSCALER = Kind("DaskAutoscaler", "daskautoscalers", "daskautoscaler")
DASK_JOB = Kind("DaskJob", "daskjobs", "daskjob", ("djb",))
KINDS = (DASK_CLUSTER, DASK_WORKER_GROUP, DASK_AUTOSCALER, DASK_JOB)
