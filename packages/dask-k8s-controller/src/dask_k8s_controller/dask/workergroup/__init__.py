"""DaskWorkerGroup: worker pods that are all created from one template."""
