"""The controllers that turn Deployments, StatefulSets and Jobs into pods.

Decisions are pure functions over the objects as the caches hold them; controllers carry them out.
Orphans that match a selector are not adopted: whoever creates pods by hand keeps them.
"""
