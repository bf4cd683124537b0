"""What HL7 says of the state of a result and of an order (tables 0085 and 0123).

Law: they are two tables, and a letter of the one is not read by the other: D deletes a result, but no order.
"""

from service.domain.panels import Status

# OBX-11, table 0085. The FHIR words for the first seven are those of HL7's own map.
RESULT = {
    "F": Status.FINAL,
    "C": Status.CORRECTED,
    "A": Status.AMENDED,
    "P": Status.PRELIMINARY,
    "D": Status.ENTERED_IN_ERROR,
    "W": Status.ENTERED_IN_ERROR,
    "X": Status.CANCELLED,
    "B": Status.APPENDED,
    "V": Status.FINAL,
    "U": Status.FINAL,
    "R": Status.REGISTERED,
    "S": Status.REGISTERED,
    "I": Status.REGISTERED,
    "O": Status.REGISTERED,
    "N": Status.REGISTERED,
}

# The value is not sent again: the one that was sent as preliminary stands, and is final now.
PROMOTES = "U"
NOT_ASKED = "N"

# OBR-25, table 0123. A: some of the results are there, of which each says itself what it is.
ORDER = {
    "F": Status.FINAL,
    "A": Status.FINAL,
    "C": Status.CORRECTED,
    "M": Status.PRELIMINARY,
    "P": Status.PRELIMINARY,
    "R": Status.PRELIMINARY,
    "I": Status.REGISTERED,
    "N": Status.REGISTERED,
    "O": Status.REGISTERED,
    "S": Status.REGISTERED,
    "X": Status.CANCELLED,
    "Y": Status.UNKNOWN,
    "Z": Status.UNKNOWN,
}
