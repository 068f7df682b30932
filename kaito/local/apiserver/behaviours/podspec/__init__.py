"""What is wrong with the parts of a pod spec, one noun a module.

Each check gets a decoded, defaulted value and its path and gives the faults a server finds, in the
server's order. Nothing here changes a value or looks at other objects.
"""
