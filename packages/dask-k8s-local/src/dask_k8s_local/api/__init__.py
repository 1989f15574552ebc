"""The API server: HTTP, discovery, verbs, watches and streams.

Contains no controllers and starts no processes; validation and defaults of each kind are in `strategy`.
"""
