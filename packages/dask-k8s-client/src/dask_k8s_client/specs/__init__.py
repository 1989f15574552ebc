"""Builders of manifests. Pure: nothing here reads configuration or files, or sends requests."""
