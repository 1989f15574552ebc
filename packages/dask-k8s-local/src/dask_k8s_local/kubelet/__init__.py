"""The node agent: runs pods as processes of this machine. Uses the store, never HTTP requests to the API."""
