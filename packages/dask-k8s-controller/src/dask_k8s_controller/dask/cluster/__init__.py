"""DaskCluster: a scheduler, its service, and the default worker group."""
