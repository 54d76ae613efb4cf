"""The peer of the ingest benchmark: dlt's rest_api source into its DuckDB destination, merged by key.

Not here: Tolok's sides (ingest_sides.py). This file runs in an environment of its own, which ingest.py makes, and imports nothing of ours.
Set up as its documentation advises: a declared paginator and data selector (it need not guess), whole pages, `primary_key` and
`merge`. `dlt-tuned` adds what its page on optimizing says: rotated files, two processes to normalize, Parquet as the loader's
format, and no child tables (`max_table_nesting=0`), so that like is compared with like: the nested parts stay JSON, as in Tolok's raw.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

# Nothing leaves the machine.
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"


def run(side: str, url: str, records: int, folder: Path) -> dict[str, object]:
    """Load everything that the server has."""
    is_tuned = side == "dlt-tuned"
    if is_tuned:
        os.environ |= {
            "NORMALIZE__WORKERS": "2",
            "NORMALIZE__START_METHOD": "spawn",
            "DATA_WRITER__FILE_MAX_ITEMS": "100000",
            "DATA_WRITER__BUFFER_MAX_ITEMS": "10000",
        }
    import dlt  # noqa: PLC0415 it reads the settings above as it is imported
    from dlt.sources.rest_api import rest_api_source  # noqa: PLC0415

    source = rest_api_source(
        {
            "client": {
                "base_url": url,
                "paginator": {"type": "cursor", "cursor_path": "meta.next_token", "cursor_param": "pagination_token"},
            },
            "resources": [
                {
                    "name": "records",
                    "primary_key": "id",
                    "write_disposition": "merge",
                    "endpoint": {"path": "records", "data_selector": "data"},
                }
            ],
        },
        max_table_nesting=0 if is_tuned else None,
        parallelized=True,
    )
    pipeline = dlt.pipeline(
        "ingest",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.duckdb(str(folder / "dlt.duckdb")),
        dataset_name="bench",
    )
    begun = time.monotonic()
    info = pipeline.run(source, loader_file_format="parquet" if is_tuned else None)
    info.raise_on_failed_jobs()
    seconds = time.monotonic() - begun
    with pipeline.sql_client() as client:
        (rows,) = client.execute_sql("SELECT count(*) FROM records")[0]
    if rows != records:
        message = f"{records} records were served; {rows} rows stand in the table"
        raise RuntimeError(message)
    steps = {step.step: (step.finished_at - step.started_at).total_seconds() for step in pipeline.last_trace.steps}
    return {"rows": rows, "run_s": seconds, "steps": {name: round(value, 1) for name, value in steps.items()}}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))) + "\n")
