"""The container runtime: runs commands as supervised processes. Knows neither Kubernetes nor the store."""
