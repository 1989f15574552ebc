"""How the controller and a Dask scheduler speak with each other: one file that runs there, a client here."""
