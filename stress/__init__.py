"""Proof under stress: the running service is killed, starved, cut off and flooded, and what it promised is looked up.

Not shipped. ``make stress`` runs all of it; ``service`` knows nothing of it. A short form is part of ``make test``.
"""
