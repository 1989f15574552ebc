"""Builders: arguments in, resources out. Pure; nothing here knows of configuration, files or the network."""
