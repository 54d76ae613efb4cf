"""The street door: what each platform is asked, and how politely. HTTP and files only.

Not here: Dagster, DuckDB, Polars, and what a number means (assets/).
"""
