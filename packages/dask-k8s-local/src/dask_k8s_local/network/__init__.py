"""The cluster network on loopback: addresses of pods and Services, their names, and the proxies between."""
