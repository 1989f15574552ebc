"""The scheduler of a cluster: which addresses it has, and the agent inside it that answers our questions."""
