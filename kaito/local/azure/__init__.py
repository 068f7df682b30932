"""Azure Resource Manager as far as AKS agent pools need it, over HTTPS, in this process.

The real SDK talks to it unmodified. It keeps pools and their long operations, makes Nodes of the
pools that succeed, and fails in the ways the real service fails when it is told to. It sells
nothing, bills nothing and runs no virtual machine.
"""
