"""The demo: a synthetic history that is worth looking at, and its way in through the real intake.

Law: nobody in it exists. Everything follows from a seed and a day, and nothing is kept that intake would not keep.
"""
