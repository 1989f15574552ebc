"""How to reach a scheduler from this machine. Nothing here speaks Dask's protocol."""
