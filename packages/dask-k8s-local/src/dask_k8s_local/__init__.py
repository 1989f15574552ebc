"""A small Kubernetes in one Python process, for laptops and tests; not for production.

The package knows no custom resources of its own: they arrive as CustomResourceDefinitions through its API.
"""
