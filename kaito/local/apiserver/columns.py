"""The columns of built-in kinds, as kubectl prints them."""

from __future__ import annotations

from kaito.local.apiserver.tables import AGE_SAYS, NAME_SAYS, Column, Columns, age

NAME = Column("Name", format="name", description=NAME_SAYS)
AGE = Column("Age", description=AGE_SAYS)
SCALE = Columns((NAME, Column("Desired", "integer"), Column("Available", "integer"), AGE),
                lambda o, now: [o["metadata"]["name"], o["spec"].get("replicas", 0),
                                o["status"].get("replicas", 0),
                                age(o["metadata"].get("creationTimestamp"), now)])
COLUMNS: dict[tuple[str, str], Columns] = {}
