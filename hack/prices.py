"""Brings the prices in kaito/catalog/data/skus_*.toml up to date: docs/skus.md.

    python hack/prices.py azure zz_generated.pricing.go
    python hack/prices.py aws zz_generated.pricing_aws.go

The files are those in which the Karpenter providers of the clouds record the public price lists. A
size that the list has no more keeps its last price and the day of that.
"""

from __future__ import annotations

import datetime
import json
import pathlib
import re
import sys
import tomllib
from typing import Any

DATA = pathlib.Path(__file__).parent.parent / "kaito/catalog/data"
# Where the region of the file sells no such size: the cheapest in this part of the world.
NEARBY = {"azure": re.compile(r"(?!aus).*us\d?"), "aws": re.compile(r"us-.*")}
SECOND = {"azure": "eastus2", "aws": "us-east-2"}
REGION = re.compile(r'^\s*(?:initialOnDemandPrices\["(\w+)"\] = map|"([\w-]+)": \{$)')
PRICE = re.compile(r'"([\w. -]+)":\s+([\d.]+),')
ORDER = ("price", "region", "priced", "retired", "unknown")

# By region and name.
Prices = dict[str, dict[str, float]]


def recorded(text: str) -> tuple[datetime.date, Prices]:
    """The day of the list and its prices."""
    day = re.search(r"// generated at (\d{4}-\d\d-\d\d)T", text)
    assert day, "no such list: it says no day"
    prices: Prices = {}
    region = ""
    for line in text.splitlines():
        if match := REGION.match(line):
            region = match[1] or match[2]
        for name, price in PRICE.findall(line):
            prices.setdefault(region, {})[name.strip()] = float(price)
    return datetime.date.fromisoformat(day[1]), prices


def listed(name: str, prices: Prices, region: str, cloud: str) -> tuple[float, str] | None:
    """The price of a size and the region of it."""
    # The list writes one of the V620 sizes without its version.
    for known in (name, name.removesuffix("_v1")):
        if known in prices[region]:
            return prices[region][known], region
        near = [
            (there[known], other != SECOND[cloud], other)
            for other, there in prices.items()
            if known in there and NEARBY[cloud].fullmatch(other)
        ]
        if near:
            price, _, other = min(near)
            return price, other
    return None


def updated(row: dict[str, Any], table: dict[str, Any], day: datetime.date, prices: Prices) -> str:
    """A row with the price of that day, as a line of the file."""
    region = table["price"]["region"]
    found = listed(row["name"], prices, region, table["cloud"])
    if found is not None:
        row = {k: v for k, v in row.items() if k not in ("price", "region", "priced")}
        row["price"], where = found
        if where != region:
            row["region"] = where
        if row.get("unknown", "").startswith("price: "):
            del row["unknown"]
    elif "price" in row:
        row.setdefault("priced", table["price"]["date"])
    last = {key: row.pop(key) for key in ORDER if key in row}
    fields = ", ".join(f"{key} = {written(value)}" for key, value in {**row, **last}.items())
    return f"    {{ {fields} }},"


def written(value: object) -> str:
    """A value as TOML has it."""
    if isinstance(value, str | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value).removesuffix(".0")


def main(cloud: str, source: str) -> None:
    path = DATA / f"skus_{cloud}.toml"
    text = path.read_text("utf-8")
    table = tomllib.loads(text)
    day, prices = recorded(pathlib.Path(source).read_text("utf-8"))
    rows = iter(table["sizes"])
    lines = [
        updated(next(rows), table, day, prices) if line.startswith("    { name") else line
        for line in text.splitlines()
    ]
    changed = re.sub(r"(?m)^price\.date = .*$", f"price.date = {day}", "\n".join(lines) + "\n")
    path.write_text(changed, "utf-8")
    print(f"{path.name}: prices of {day}")


if __name__ == "__main__":
    main(*sys.argv[1:])
