"""Taking in a part of a Bundle: entries that cannot be taken in go, and the others are as if those had not come.

Law: whatever goes is answered with its reason; places of what stays are those of the Bundle as sent.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from service.domain.errors import BadInput, Fault
from service.domain.panels import Panel
from service.flows.fhir_entries import Taking
from service.flows.incoming import order
from service.flows.means import Means
from service.formats.fhir.bundle import Bundle, Entry
from service.formats.fhir.gather import Position


def without(bundle: Bundle, gone: Collection[int]) -> Bundle:
    """The Bundle without the results of some of its entries."""
    if not gone:
        return bundle
    dropped = {position for index in gone for position in bundle.entries[index].results}
    panels: list[Panel] = []
    places: dict[Position, Position] = {}
    for at, panel in enumerate(bundle.reading.panels):
        stay = [place for place in range(len(panel.results)) if (at, place) not in dropped]
        places |= {(at, place): (len(panels), new) for new, place in enumerate(stay)}
        if stay:
            panels.append(replace(panel, results=tuple(panel.results[place] for place in stay)))
    entries = tuple(_moved(entry, places) for entry in bundle.entries)
    return replace(bundle, reading=replace(bundle.reading, panels=tuple(panels)), entries=entries)


def _moved(entry: Entry, places: Mapping[Position, Position]) -> Entry:
    if not entry.results:
        return entry
    return replace(entry, results=tuple(places[one] for one in entry.results if one in places))


def refusing(taking: Taking, faults: Mapping[int, tuple[Fault, ...]]) -> Taking:
    """The same with some entries refused."""
    left = without(taking.bundle, faults)
    entries = tuple(
        replace(entry, faults=(*entry.faults, *faults[index])) if index in faults else entry
        for index, entry in enumerate(left.entries)
    )
    return replace(taking, bundle=replace(left, entries=entries))


def without_contradictions(taking: Taking, means: Means) -> Taking:
    """Refuse the entries that contradict others of their collection: each entry of a batch stands for itself."""
    found = list(_contradictions(taking, means))
    faults: dict[int, tuple[Fault, ...]] = {}
    for index, entry in enumerate(taking.bundle.entries):
        pointers = {taking.bundle.reading.panels[at].results[place].pointer for at, place in entry.results}
        mine = tuple(fault for fault in found if fault.pointer in pointers)
        if mine:
            faults[index] = mine
    return refusing(taking, faults)


def _contradictions(taking: Taking, means: Means) -> Iterator[Fault]:
    for panel in taking.bundle.reading.panels:
        try:
            order(panel, taking.message, means)
        except BadInput as error:
            yield from error.faults
