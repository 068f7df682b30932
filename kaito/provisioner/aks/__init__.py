"""Nodes from AKS agent pools. `connect` is imported lazily: it loads the Azure SDK."""
