"""The container runtime: commands become supervised processes. Knows no Kubernetes and no store."""
