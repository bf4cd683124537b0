"""The judgement: values in, values out.

Law: this floor touches nothing. It imports the standard library only, reads no clock and no environment, and
computes with ``Decimal``.
"""
