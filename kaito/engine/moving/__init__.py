"""What brings files into a Pod and out of it: from URLs and registries, to registries and volumes.

`python3 -m kaito.engine.moving fetch|pull|push|store`. Whatever it brings is verified before it has
its final name, and whatever it sends is complete. It trains nothing and reads no rows of data.
"""
