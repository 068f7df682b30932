"""Products: what is the same about an accelerator in every node that has it.

How many of them a node has, and which clouds sell such nodes, is in kaito.catalog.sku.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from kaito.catalog.sku import Architecture, Gpus, Price, Sku, Vendor


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """An accelerator as its maker sells it."""

    name: str
    vendor: Vendor
    memory_gib: tuple[float, ...]
    """Of one; several where it is sold with several."""
    compute_capability: float | None = None
    """NVIDIA's."""
    tflops: tuple[float, ...] = ()
    """What one computes a second on its tensor cores in 16 bits, without sparsity, in 10^12
    operations, for each of `memory_gib`; empty where nobody could cite it."""
    source: str
    date: datetime.date
    """The day of the source."""
    unknown: str | None = None
    """Why fields are None, where they are."""

    def on_node(self, count: int, memory_gib: float, part: Fraction = Fraction(1)) -> Gpus:
        """So many of them, or of equal parts of them, with this much memory together.

        ValueError when no such product has that much.
        """
        each = Fraction(memory_gib) / count
        if not any(Fraction(whole) * part == each for whole in self.memory_gib):
            raise ValueError(
                f"{count} x {part} {self.name} cannot have {memory_gib:g} GiB together: "
                f"one has {', '.join(f'{whole:g}' for whole in self.memory_gib)}"
            )
        return Gpus(
            product=self.name,
            count=count,
            memory_gib=memory_gib,
            vendor=self.vendor,
            compute_capability=self.compute_capability,
            part=part,
        )


# Any: tables of TOML; a row with a field too many, or without one it needs, is an error at load.
def products_of(table: Mapping[str, Any]) -> dict[str, Product]:
    """The products in gpus.toml, by name."""
    sources: Mapping[str, str] = table["sources"]
    return {
        row["name"]: Product(
            **{
                **row,
                "memory_gib": tuple(row["memory_gib"]),
                "tflops": tuple(row.get("tflops", ())),
                "source": sources[row["source"]],
                "date": table["date"],
            }
        )
        for row in table["products"]
    }


def skus_of(table: Mapping[str, Any], products: Mapping[str, Product]) -> list[Sku]:
    """The node sizes of one cloud, from its skus_*.toml."""

    # Keyword arguments, so that a misspelt field is a TypeError and never a fact left out.
    def sku(
        *,
        name: str,
        aliases: Sequence[str] = (),
        gpu: str,
        gpus: int,
        memory_gib: float,
        vcpus: int,
        ram_gib: int,
        nvme_gib: int = 0,
        part: str = "1",
        architecture: Architecture = "amd64",
        price: float | None = None,
        region: str | None = None,
        priced: datetime.date | None = None,
        retired: datetime.date | None = None,
        unknown: str | None = None,
    ) -> Sku:
        listed = price is not None and Price(
            usd_per_hour=price,
            region=region or table["price"]["region"],
            date=priced or table["price"]["date"],
            source=table["price"]["source"],
        )
        return Sku(
            name=name,
            aliases=tuple(aliases),
            cloud=table["cloud"],
            gpus=products[gpu].on_node(gpus, memory_gib, Fraction(part)),
            vcpus=vcpus,
            ram_gib=ram_gib,
            nvme_gib=nvme_gib,
            architecture=architecture,
            price=listed or None,
            retired=retired,
            source=table["source"],
            date=table["date"],
            unknown=unknown,
        )

    return [sku(**row) for row in table["sizes"]]
