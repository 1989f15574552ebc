"""Binds pods to the one node, or tells them in the real scheduler's words why not."""
