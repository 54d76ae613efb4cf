"""`python -m tests.laws.freeze` writes the published columns as they are now: after a change that was meant, with a new SCHEMA_VERSION."""

from __future__ import annotations

import json
from pathlib import Path

from assets.publish import products


def main() -> None:
    """Write frozen_columns.json."""
    now = {product.table.name: [f"{column.name} {column.type}" for column in product.table.columns] for product in products()}
    Path(__file__).with_name("frozen_columns.json").write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
