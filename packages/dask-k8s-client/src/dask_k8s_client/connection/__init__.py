"""From here to a scheduler: which way, and through what. Nothing here speaks Dask's protocol."""
