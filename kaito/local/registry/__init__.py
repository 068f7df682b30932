"""A small OCI registry in this process, for adapters and the outputs of tuning.

It serves version 1.1 of the OCI distribution specification to whoever has a token, and keeps what
it is given on disk by its digest. It mirrors nothing, signs nothing and scans nothing.
"""
