"""The rooms in walking order: raw, staging, indicators, goals, publish. Pure functions in the middle.

Not here: HTTP (connectors/), promises (checks/), Dagster and settings (pipelines/).
"""
