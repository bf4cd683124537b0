"""Keeping: domain objects into rows and back.

Law: functions here run inside somebody else's transaction. They never commit, never judge, and answer domain objects,
never rows.
"""
