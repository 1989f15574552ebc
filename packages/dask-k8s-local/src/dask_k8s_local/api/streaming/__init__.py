"""Streams to and from pods over one WebSocket, which `streams` has opened. Knows neither store nor verbs."""
