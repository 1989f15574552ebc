"""A cluster from its creation to its end, for Python and the command line alike."""
