"""Nodes without machines: what they report, how they become ready, what they leave behind."""
