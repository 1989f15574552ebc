"""`helm test`: a suspended DaskCluster starts nothing; a controller that works says `Suspended` of it."""

import sys
import uuid

from kubernetes import client, config, watch

(namespace,) = sys.argv[1:]
config.load_incluster_config()
api = client.CustomObjectsApi()
clusters = ("kubernetes.dask.org", "v1", namespace, "daskclusters")
name = f"helm-test-{uuid.uuid4().hex[:8]}"
pod = {"containers": [{"name": "dask", "image": "none"}]}
service = {"ports": [{"port": 8786}]}
body = {
    "apiVersion": "kubernetes.dask.org/v1",
    "kind": "DaskCluster",
    "metadata": {"name": name},
    "spec": {"suspend": True, "scheduler": {"spec": pod, "service": service}, "worker": {"spec": pod}},
}
api.create_namespaced_custom_object(*clusters, body)
phase = None
try:
    watched = {"field_selector": f"metadata.name={name}", "timeout_seconds": 60}
    for event in watch.Watch().stream(api.list_namespaced_custom_object, *clusters, **watched):
        phase = event["object"].get("status", {}).get("phase")
        print(f"DaskCluster {namespace}/{name}: {phase}")
        if phase == "Suspended":
            break
finally:
    api.delete_namespaced_custom_object(*clusters, name)
if phase != "Suspended":
    sys.exit("the controller did not answer within 60 s; see its log")
