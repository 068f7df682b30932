"""Reconcilers, each a thin shell around a pure decision: observe, decide, apply."""
