"""The directory that is first on PYTHONPATH of every pod. Contains only `sitecustomize`."""
