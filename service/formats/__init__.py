"""Bytes into the one language of the domain, and back: one module for each format.

Law: a format decides nothing. It reads what was said, to the letter, or says exactly where it could not.
"""
