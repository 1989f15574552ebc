"""exec and port-forward over WebSocket.

Contains the protocols; the kubelet runs commands and opens connections.
"""
