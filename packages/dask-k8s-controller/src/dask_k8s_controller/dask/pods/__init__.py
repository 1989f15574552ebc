"""Pods: the view of a pod that the cache keeps, and how a user's template becomes a pod."""
