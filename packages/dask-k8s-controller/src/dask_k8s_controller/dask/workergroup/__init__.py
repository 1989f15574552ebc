"""DaskWorkerGroup: so many worker pods of one template."""
