"""The verbs: one module for each thing that is done.

Law: gather, decide, keep; and only here is a transaction opened. The sides do not know each other, the flows join them.
"""
