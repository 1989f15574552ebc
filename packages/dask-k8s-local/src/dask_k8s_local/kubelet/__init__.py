"""The node: pods become processes of this machine. Talks to the store, never to HTTP."""
