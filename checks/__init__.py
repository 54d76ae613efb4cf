"""Promises about the tables, as data, and the gate that asks whether they hold.

Not here: how a table is made (assets/) and what follows from a broken promise (assets/publish.py, pipelines/). Tables are named by key.
"""
