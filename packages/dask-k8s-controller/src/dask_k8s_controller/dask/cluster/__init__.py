"""DaskCluster: a scheduler, its Service, the agent's Secret, and a default worker group."""
