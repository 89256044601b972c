"""XML from outside, read without trusting it: a bank's file as a small tree.

ISO 20022 messages have no document type, so any is refused at its first word, and with it every entity that could
grow without end or name another file. Depth, number of elements and bytes have limits. The parser is the standard
library's expat, which loads nothing by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.parsers import expat

from chassis.errors import InvalidArgument

# A message stays below what one call may carry (4 MiB with everything around it).
BYTES_MAX = 3 * 1024 * 1024
DEPTH_MAX = 32
ELEMENTS_MAX = 100_000
# What a scalar of these messages may hold at most (Max500Text), far below what an error message should repeat.
TEXT_MAX = 500


class BankFileInvalid(InvalidArgument):
    """The file is not what it says it is."""

    reason = "BANK_FILE_INVALID"


class BankFileUnsafe(InvalidArgument):
    """The file has what no bank sends and no careful reader takes: a document type, entities, endless nesting."""

    reason = "BANK_FILE_UNSAFE"


class BankFileTooLarge(InvalidArgument):
    """The file has more bytes or entries than one import takes."""

    reason = "BANK_FILE_TOO_LARGE"


class Element:
    """One element: its name without namespace, its text, attributes and children."""

    __slots__ = ("attributes", "children", "name", "pieces")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.children: list[Element] = []
        self.pieces: list[str] = []

    def all(self, path: str) -> Iterator[Element]:
        """The descendants at `A/B/C`."""
        first, _, rest = path.partition("/")
        for child in self.children:
            if child.name == first:
                if rest:
                    yield from child.all(rest)
                else:
                    yield child

    def first(self, path: str) -> Element | None:
        """The first descendant at `A/B/C`."""
        return next(self.all(path), None)

    def text(self, *paths: str, limit: int = TEXT_MAX) -> str:
        """The text at the first of `paths` that is there, without blanks around; "" when none is."""
        for path in paths:
            found = self.first(path)
            if found is not None:
                value = "".join(found.pieces).strip()
                if len(value) > limit:
                    raise BankFileInvalid(f"{path} has {len(value)} signs; the schema allows {limit}")
                return value
        return ""

    def required(self, *paths: str, limit: int = TEXT_MAX) -> str:
        """The same, refused when it is missing or empty."""
        value = self.text(*paths, limit=limit)
        if not value:
            raise BankFileInvalid(f"{self.name} lacks {' or '.join(paths)}")
        return value


class _Builder:
    """Builds the tree of one namespace; what is of another (supplementary data) keeps a name that nobody looks for."""

    def __init__(self) -> None:
        self.namespace = ""
        self.root: Element | None = None
        self._open: list[Element] = []
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        if self.root is None:
            self.namespace = namespace
        self._count += 1
        if len(self._open) >= DEPTH_MAX or self._count > ELEMENTS_MAX:
            raise BankFileUnsafe(
                f"the file nests deeper than {DEPTH_MAX} elements or has more than {ELEMENTS_MAX}; no bank's file does"
            )
        element = Element(local if namespace == self.namespace else name, attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def end(self, name: str) -> None:
        self._open.pop()

    def characters(self, text: str) -> None:
        if self._open:
            self._open[-1].pieces.append(text)


def _refuse_document_type(*_: object) -> int:
    raise BankFileUnsafe("the file has a document type or entities, which ISO 20022 messages never have")


def parse(content: bytes) -> tuple[str, Element]:
    """(namespace, root) of a file. BANK_FILE_INVALID: not well formed, or not in its own encoding."""
    if len(content) > BYTES_MAX:
        raise BankFileTooLarge(f"the file has {len(content)} bytes; an import takes at most {BYTES_MAX}")
    builder = _Builder()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.characters
    parser.StartDoctypeDeclHandler = _refuse_document_type
    parser.EntityDeclHandler = _refuse_document_type
    parser.ExternalEntityRefHandler = _refuse_document_type
    try:
        parser.Parse(content, True)
    except expat.ExpatError as bad:
        where = f"line {bad.lineno}, column {bad.offset + 1}"
        raise BankFileInvalid(f"the file is not well formed at {where}: {expat.ErrorString(bad.code)}") from bad
    except (LookupError, ValueError) as bad:
        raise BankFileInvalid("the file is in an encoding that is not known; banks send UTF-8") from bad
    if builder.root is None:
        raise BankFileInvalid("the file is empty")
    return builder.namespace, builder.root


_WHOLE = re.compile(r"[0-9]{1,18}(\.[0-9]{1,5})?")


def decimal_text(text: str, where: str) -> str:
    """An amount's text, if it has the form of one (ISO 20022: at most 18 digits, 5 of them decimals)."""
    if not _WHOLE.fullmatch(text):
        raise BankFileInvalid(f"{where}: {text[:40]!r} is no amount such as 12500.00")
    return text
