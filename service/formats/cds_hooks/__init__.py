"""CDS Hooks 2.0: what an electronic health record asks at the bedside, and the cards that answer it.

Law: pure, as all formats are: values in, values out.
"""
