"""XML of strangers as a small tree, read without trusting it.

No document type, so no entity that grows without end or names another file (CWE-776, CWE-611); limits on bytes, depth,
elements and on each text; UTF-8 alone, and an encoding that is not is named. The parser is the standard library's
expat, which loads nothing by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.parsers import expat

from chassis.errors import InvalidArgument

BYTES_MAX = 1024 * 1024
# UBL nests about ten deep; a signature in the extensions a little more.
DEPTH_MAX = 32
ELEMENTS_MAX = 50_000
# No term that is read here holds more; notes and attachments are not read.
TEXT_MAX = 500

_ENCODING = re.compile(rb"""^\s*<\?xml[^>]*?\bencoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")
_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
    (b"<\x00", "UTF-16"),
    (b"\x00<", "UTF-16"),
)
_UTF8_MARK = b"\xef\xbb\xbf"


class UblInvalid(InvalidArgument):
    """The document is not well formed, or lacks what every UBL document has."""

    reason = "UBL_INVALID"


class UblUnsafe(InvalidArgument):
    """The document has what no invoice has: a document type, entities, endless nesting."""

    reason = "UBL_UNSAFE"


class UblTooLarge(InvalidArgument):
    """The document has more bytes than one import takes."""

    reason = "UBL_TOO_LARGE"


class UblEncoding(InvalidArgument):
    """The document is in another encoding than UTF-8, or not in the one that it names."""

    reason = "UBL_ENCODING"


class Element:
    """One element: its namespace and name, its text, attributes and children."""

    __slots__ = ("attributes", "children", "name", "namespace", "pieces")

    def __init__(self, namespace: str, name: str, attributes: dict[str, str]) -> None:
        self.namespace = namespace
        self.name = name
        self.attributes = attributes
        self.children: list[Element] = []
        self.pieces: list[str] = []

    def all(self, path: str) -> Iterator[Element]:
        """The descendants at `A/B/C`; UBL's names are the same in no two of its namespaces that stand together."""
        first, _, rest = path.partition("/")
        for child in self.children:
            if child.name == first and child.namespace.startswith("urn:oasis:names:specification:ubl:"):
                if rest:
                    yield from child.all(rest)
                else:
                    yield child

    def first(self, path: str) -> Element | None:
        """The first descendant at `A/B/C`."""
        return next(self.all(path), None)

    @property
    def text(self) -> str:
        """Its text without blanks around; UBL_INVALID when it is longer than any term may be."""
        value = "".join(self.pieces).strip()
        if len(value) > TEXT_MAX:
            raise UblInvalid(f"{self.name} has {len(value)} signs, at most {TEXT_MAX} are read")
        return value

    def value(self, path: str) -> str:
        """The text at `A/B/C`; "" when it is not there."""
        found = self.first(path)
        return "" if found is None else found.text


class _Builder:
    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._open) >= DEPTH_MAX or self._count > ELEMENTS_MAX:
            raise UblUnsafe(
                f"the document nests deeper than {DEPTH_MAX} elements or has more than {ELEMENTS_MAX}; no invoice does",
                metadata={"depth_max": str(DEPTH_MAX), "elements_max": str(ELEMENTS_MAX)},
            )
        namespace, _, local = name.rpartition(" ")
        element = Element(namespace, local, attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def end(self, name: str) -> None:
        self._open.pop()

    def characters(self, text: str) -> None:
        self._open[-1].pieces.append(text)


def _refuse_document_type(*_: object) -> int:
    raise UblUnsafe("the document has a document type or entities, which UBL documents never have")


def parse(content: bytes) -> Element:
    """The root of a document."""
    if len(content) > BYTES_MAX:
        raise UblTooLarge(f"the document has {len(content)} bytes; an import takes at most {BYTES_MAX}")
    content = _utf8(content)
    builder = _Builder()
    parser = expat.ParserCreate(encoding="UTF-8", namespace_separator=" ")
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
        raise UblInvalid(f"the document is not well formed at {where}: {expat.ErrorString(bad.code)}") from bad
    assert builder.root is not None, "expat refuses a document without a root"
    return builder.root


def _utf8(content: bytes) -> bytes:
    """The content without a byte order mark, if it is UTF-8 throughout and says nothing else."""
    for mark, name in _MARKS:
        if content.startswith(mark):
            raise UblEncoding(
                f"the document is in {name}; Peppol documents are in UTF-8: have it sent again in UTF-8",
                metadata={"encoding": name},
            )
    content = content.removeprefix(_UTF8_MARK)
    named = _ENCODING.match(content)
    encoding = named[1].decode("ascii").upper() if named else "UTF-8"
    if encoding not in ("UTF-8", "UTF8", "US-ASCII", "ASCII"):
        raise UblEncoding(
            f"the document names its encoding {encoding}; Peppol documents are in UTF-8: have it sent again in UTF-8",
            metadata={"encoding": encoding},
        )
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as bad:
        raise UblEncoding(
            f"the document says that it is {encoding}, but byte {bad.start} (0x{content[bad.start]:02X}) is not: "
            "it was probably written in Latin-1 or Windows-1252",
            metadata={"encoding": encoding, "offset": str(bad.start)},
        ) from bad
    return content
