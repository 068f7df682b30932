"""A Kubernetes cluster in one process, for development and tests.

`LocalCluster` (cluster.py) puts it together: an API server over HTTPS, the controllers that a
cluster brings along (workloads/, scheduling/, nodes/), pods that run as local processes or are
simulated (pods/), and an Azure that holds agent pools (azure/). What is simulated says so.
"""
