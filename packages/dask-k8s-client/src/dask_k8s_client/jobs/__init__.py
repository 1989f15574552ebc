"""Jobs from Python: submitted, followed to their end. How they are run is decided elsewhere."""
