"""The constants of dask-kubernetes that other projects import."""

import re

from dask_k8s_crds import names

MAX_CLUSTER_NAME_LEN = names.CLUSTER_NAME_MAX
SCHEDULER_NAME_TEMPLATE = names.scheduler("{cluster_name}")
VALID_CLUSTER_NAME = re.compile(rf"(?=.{{,{names.CLUSTER_NAME_MAX}}}$){names.CLUSTER_NAME_PATTERN}")
