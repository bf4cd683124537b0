"""The walk through the segments of a message: which OBX belongs to which patient, order and specimen.

    PID ─► (ORC) OBR ─► OBX … ─► SPM ─► OBX …     a report (ORU), an order with its specimens (OUL^R24)
    PID ─► SPM ─► OBX … ─► OBR ─► OBX …           a specimen with its orders (OUL^R22, R23)

Law: each segment is read here, belongs to one that is read, or is accounted for with the reason why it is not.
"""

from dataclasses import dataclass, field, replace

from service.formats.hl7v2.segments import Segment
from service.formats.reading import Ignored, Notice

SPECIMEN_FIRST = frozenset({"R22", "R23"})
ABOUT_SPECIMENS = SPECIMEN_FIRST | {"R24"}

# Segments of other uses that may stand in a message of results (HL7 v2.3 to v2.8).
_LISTED = """
    ACC ADD AL1 ARV BLG CTD CTI CON DB1 DG1 DRG DSC DSP ERR EVN FT1 GT1 IAM IN1 IN2 IN3 INV MRG MSA NK1 NPU OBS ORG PD1
    PDA PES PEO PCR PV1 PV2 PRT QRD QRF ROL SAC SFT SID STF TCC TCD TQ1 TQ2 TXA UAC UB1 UB2
"""
KNOWN = frozenset(_LISTED.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """An order and what belongs to it. ``obr`` is None for observations that no order asked for."""

    pid: Segment | None
    orc: Segment | None = None
    obr: Segment | None = None
    specimens: list[Segment] = field(default_factory=list)
    notes: list[str] = field(default_factory=list, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """An OBX where it stands."""

    obx: Segment
    group: Group
    specimen: Segment | None
    notes: list[str] = field(default_factory=list, repr=False)

    @property
    def of_specimen(self) -> Segment | None:
        """The specimen: the one that it stands under, or else the first of its order."""
        return self.specimen or next(iter(self.group.specimens), None)


class Walk:
    """What was met so far."""

    def __init__(self, event: str) -> None:
        self.observed: list[Observed] = []
        self.ignored: list[Ignored] = []
        self.notices: list[Notice] = []
        self.patients: list[Segment] = []
        self._specimen_first = event in SPECIMEN_FIRST
        self._about_specimens = event in ABOUT_SPECIMENS
        self._orc: Segment | None = None
        self._specimen: Segment | None = None
        self._notes: list[str] | None = None
        self._group = Group(pid=None)

    def meet(self, segment: Segment) -> None:
        """Take the next segment."""
        _MET.get(segment.name, Walk.leave)(self, segment)

    def head(self, segment: Segment) -> None:
        """The first one is read elsewhere; there is no other one in a message."""

    def patient(self, segment: Segment) -> None:
        """PID: all that follows is of this patient."""
        self.patients.append(segment)
        self._orc = self._specimen = self._notes = None
        self._group = Group(pid=segment)

    def common_order(self, segment: Segment) -> None:
        """ORC: of the OBR that follows, or, in messages about specimens, of the one before."""
        self._notes, group = None, self._group
        last = self.observed[-1].group if self.observed else None
        if self._about_specimens and group.obr is not None and group.orc is None and last is not group:
            self._group = replace(group, orc=segment)
            return
        self._orc, self._group = segment, Group(pid=group.pid, orc=segment)
        if not self._specimen_first:
            self._specimen = None

    def order(self, segment: Segment) -> None:
        """OBR: the results that follow are those of this order."""
        if not self._specimen_first:
            self._specimen = None
        self._group = Group(pid=self._group.pid, orc=self._orc, obr=segment)
        if self._specimen is not None:
            self._group.specimens.append(self._specimen)
        self._orc, self._notes = None, self._group.notes

    def specimen(self, segment: Segment) -> None:
        """SPM: of the order before it, or of the orders after it."""
        self._specimen, self._notes = segment, None
        if self._group.specimens and self._specimen_first:
            self._group = Group(pid=self._group.pid)
        self._group.specimens.append(segment)

    def observation(self, segment: Segment) -> None:
        """OBX: one observation."""
        found = Observed(obx=segment, group=self._group, specimen=self._specimen)
        self.observed.append(found)
        self._notes = found.notes

    def remark(self, segment: Segment) -> None:
        """NTE: a remark on the order or the result before it."""
        if self._notes is None:
            self.ignored.append(Ignored(place=segment.place(), why="a remark on neither an order nor a result"))
        else:
            self._notes.append("\n".join(one.text for one in segment.data(3)).strip())

    def leave(self, segment: Segment) -> None:
        """A segment that says nothing of a result; what follows it is a remark on it, not on the one before."""
        self._notes = None
        if segment.name.startswith("Z"):
            self.ignored.append(Ignored(place=segment.place(), why="a segment of the sender's own"))
        elif segment.name in KNOWN:
            self.ignored.append(Ignored(place=segment.place(), why="says nothing of a result"))
        else:
            self.ignored.append(Ignored(place=segment.place(), why="a segment that is not known"))
            detail = f"the segment {segment.name} is not known and was not read"
            self.notices.append(Notice(place=segment.place(), code="segment-unknown", detail=detail))


_MET = {
    "MSH": Walk.head,
    "PID": Walk.patient,
    "ORC": Walk.common_order,
    "OBR": Walk.order,
    "SPM": Walk.specimen,
    "OBX": Walk.observation,
    "NTE": Walk.remark,
}


def walked(segments: list[Segment], event: str) -> Walk:
    """The walk through a whole message."""
    walk = Walk(event)
    for segment in segments:
        walk.meet(segment)
    return walk
