"""How fast it is, as ratios: ours against a baseline that does the same work beside it, in one run.

Not shipped. ``python -m bench`` runs all of it; ``service`` knows nothing of it.
"""
