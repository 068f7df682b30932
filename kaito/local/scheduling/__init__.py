"""Which Node a pod goes to.

Looked at: node selector, required node affinity, taints, resources, the number of pods. Not looked
at: affinity between pods, topology spread, volumes, ports, priorities; nothing is preempted.
"""
