"""What objects may look like: schemas of built-in and custom kinds, walks over them. No store, no HTTP."""
