"""Short ways to write HL7 v2 messages.

Law: nothing here computes an expectation; it writes messages down.
"""

from service.formats.hl7v2 import reader
from tests.flows.build import NOW

PID = "PID|1||88204113^^^hospital-a^MR||Doe^Ada||19680314|F"
OBR = "OBR|1|P-1|F-1|24323-8^CMP^LN|||20261120081200+0100|||||||||||||||20261120093000+0100|||F"


def msh(
    *, control="M1", kind="ORU^R01^ORU_R01", version="2.5.1", purpose="P", at="20261120093001+0100", accept="", apply=""
):
    """MSH, without a character set."""
    return rf"MSH|^~\&|LIS|LAB|ALERTS|HOSP|{at}||{kind}|{control}|{purpose}|{version}|||{accept}|{apply}"


def obx(value="11.9", *, number=1, kind="NM", code="17861-6^Calcium^LN", unit="mg/dL", range_="8.6-10.3", **more):
    """An OBX; ``more``: sub, flag, status, at, instance."""
    sub, flag, status = more.get("sub", ""), more.get("flag", ""), more.get("status", "F")
    at, instance = more.get("at", ""), more.get("instance", "")
    return f"OBX|{number}|{kind}|{code}|{sub}|{value}|{unit}|{range_}|{flag}|||{status}|||{at}|||||||{instance}"


def message(*segments, head=None, end="\r"):
    """The bytes of a message with these segments behind its head."""
    return "".join(f"{segment}{end}" for segment in (head or msh(), *segments)).encode()


def report(*observations, head=None, obr=OBR, pid=PID):
    """A report of one order of one patient."""
    return message(pid, obr, *observations, head=head)


def read(sent, **options):
    return reader.read(sent, now=NOW, **options)


def only(sent, **options):
    """The one result of a message."""
    (panel,) = read(sent, **options).panels
    (result,) = panel.results
    return result
