"""The runtime against the local API server, over HTTPS, while things go wrong."""
