"""Benchmarks: `make bench` prints one JSON object for each scenario, and fails on missed bars."""
