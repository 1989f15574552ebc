"""What each kind adds to plain storage: defaults, what the server sets and refuses. No store, no HTTP."""
