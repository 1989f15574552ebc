"""Schemas of built-in and custom kinds: decoding, pruning, defaults and validation.

Knows neither store nor HTTP.
"""
