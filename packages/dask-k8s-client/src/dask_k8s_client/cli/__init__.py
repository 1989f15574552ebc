"""The command line, `dask kubernetes`: thin, over a package that knows nothing of it."""
