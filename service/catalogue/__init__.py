"""What we know, as data: analytes, rule sets and notes, each in a file of its own.

Law: nothing is used before it is proved. ``load.py`` reads every file at the start, and a file with a fault stops it.
"""
