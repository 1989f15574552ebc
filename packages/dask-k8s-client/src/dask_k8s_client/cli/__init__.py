"""The command line, ``dask kubernetes``: a thin layer that the rest of the package does not import."""
