"""Connections into pods: what `kubectl exec`, `attach`, `cp` and `port-forward` talk to."""
