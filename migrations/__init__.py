"""How the database came to its present shape, step by step.

Law: a step that has been released is never changed; the next one mends it.
"""
