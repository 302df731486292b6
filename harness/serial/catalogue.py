"""The kernel's catalogue (lab=list), read: labs, their parameters, protections, sites.

    [list] lab LAB : sentence
    [list] param LAB KEY default= min= max= [names=A,B,…] : help
    [list] names LAB KEY names=C,D,…         what did not fit there, in as many records as needed
    [list] protect NAME : help
    [list] site NAME function= failure= : help

Pure. Whatever is not said like that raises LogError.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from harness.errors import LogError
from harness.serial.log import Record


@dataclass(frozen=True)
class Param:
    """`names` are those of min, min + 1, …; none: it is a number."""

    key: str
    default: int
    least: int
    most: int
    names: tuple[str, ...]
    help: str

    @property
    def shown(self) -> str:
        """The default, as the boot line would have it."""
        return self.names[self.default - self.least] if self.names else str(self.default)


@dataclass(frozen=True)
class Lab:
    name: str
    sentence: str
    params: tuple[Param, ...]


@dataclass(frozen=True)
class Catalogue:
    labs: tuple[Lab, ...]
    protections: tuple[str, ...]
    sites: tuple[str, ...]


def whole(records: Iterable[Record]) -> list[Record]:
    """The [list] records, those of names put into the parameter's before them."""
    found: list[Record] = []
    for record in records:
        if record.area != ("list",):
            continue
        if record.words[:1] != ("names",):
            found.append(record)
            continue
        if not found or found[-1].words != ("param", *record.words[1:]):
            raise LogError("names of no parameter", text=str(record))
        names = f"{found[-1].fields['names']},{record.fields['names']}"
        found[-1] = replace(found[-1], fields={**found[-1].fields, "names": names})
    return found


def read(records: Iterable[Record]) -> Catalogue:
    listed = whole(records)
    return Catalogue(
        tuple(_labs(listed)), tuple(_named(listed, "protect")), tuple(_named(listed, "site"))
    )


def _named(listed: list[Record], kind: str) -> Iterator[str]:
    return (record.words[1] for record in listed if record.words[0] == kind)


def _labs(listed: list[Record]) -> Iterator[Lab]:
    params: dict[str, list[Param]] = {}
    for record in listed:
        if record.words[0] == "lab":
            params[record.words[1]] = []
        elif record.words[0] == "param":
            if record.words[1] not in params:
                raise LogError("a parameter before its lab", text=str(record))
            params[record.words[1]].append(_param(record))
    sentences = {record.words[1]: record.prose for record in listed if record.words[0] == "lab"}
    return (Lab(name, sentences[name], tuple(params[name])) for name in params)


def _param(record: Record) -> Param:
    try:
        default, least, most = (int(record.fields[key]) for key in ("default", "min", "max"))
    except (KeyError, ValueError):
        raise LogError("a parameter without its three numbers", text=str(record)) from None
    names = tuple(record.fields["names"].split(",")) if "names" in record.fields else ()
    if not least <= default <= most or (names and default - least >= len(names)):
        raise LogError("a default outside of its range", text=str(record))
    return Param(record.words[2], default, least, most, names, record.prose)
