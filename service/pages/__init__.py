"""The shell for people: server-rendered pages that need no script.

Law: a page shows what the API answers and decides nothing. Everything that comes from a sender is escaped by the
templates; no style or script stands in the markup.
"""
