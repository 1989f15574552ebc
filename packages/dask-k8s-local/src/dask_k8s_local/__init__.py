"""A small Kubernetes in one Python process, for laptops and tests. Not for production."""
