"""The cluster network on loopback addresses: addresses, DNS names, and proxies for Services.

Starts no pods.
"""
