"""The directory that stands first on PYTHONPATH of every pod. Nothing here imports anything of ours."""
