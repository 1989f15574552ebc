"""The scheduler of a cluster: which pod it is, its addresses, and the agent that runs inside it."""
