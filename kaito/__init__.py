"""KAITO: run large language models on Kubernetes, GPU nodes included.

The architecture is the list of packages; docs/architecture.md walks through them.
"""
