"""The wiring: settings, warehouse, engine, Dagster's definitions, the command line.

Not here: what platforms answer (connectors/), what numbers mean (assets/), what must hold before publishing (checks/).
"""
