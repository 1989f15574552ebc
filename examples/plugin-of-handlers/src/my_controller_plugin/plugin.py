"""Every scheduler gets a name in the company's DNS, which external-dns makes of an annotation."""

import kopf

HOSTNAME = "external-dns.alpha.kubernetes.io/hostname"


@kopf.on.create("service", labels={"dask.org/component": "scheduler"})
async def handle_scheduler_service_create(
    meta: kopf.Meta, patch: kopf.Patch, namespace: str | None, logger: kopf.Logger, **_: object
) -> None:
    """Annotate the service."""
    host = f"{meta.labels['dask.org/cluster-name']}.{namespace}.example.org"
    patch.metadata.annotations[HOSTNAME] = host
    logger.info("the scheduler will be known as %s", host)
