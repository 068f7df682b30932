"""Systematic faults: a scenario is run once for every fault at every point of it.

The three patterns are those of Sieve (Sun et al., OSDI 2022): a crash between two writes, a cache
that tells the past, a state that passes unseen.
"""
