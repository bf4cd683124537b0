"""The shell for machines: the doors under /v1, health, and the description of both.

Law: a view is shape in, one call, shape out. It judges nothing, and it opens no transaction to write.
"""
