"""The scheduler: binds pods to the node, or reports why it cannot. Starts no pods."""
