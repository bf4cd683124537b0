"""HL7 v2 results: ORU^R01 and its kin in, acknowledgments out.

Law: bytes to domain and back; every segment of a message is read, ignored for a reason, or a fault with its place.
"""
