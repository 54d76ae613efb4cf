"""A stand-in for the platforms' APIs with one simulated institution behind it.

Lives here: the simulated world, its two APIs on loopback, the institution's settings, and the numbers that must come out.
Does not live here: anything that the pipeline needs to run. Only the demo and the tests know this package, and it knows none of theirs.
"""
