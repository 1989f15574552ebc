"""What each kind adds to storage: defaults, fields that the server sets, and validation.

Knows neither store nor HTTP.
"""
