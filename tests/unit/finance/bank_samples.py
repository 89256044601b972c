"""Files as banks send them, written as text: the builders that unit and integration tests share."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date
from uuid import uuid4

DAY = date(2026, 3, 21)


def rupiah_text(amount: int) -> str:
    """Whole rupiah as banks write them."""
    return f"{amount}.00"


def entry(
    amount: int,
    *,
    debit: bool = True,
    reference: str | None = None,
    e2e: str = "",
    text: str = "",
    status: str = "BOOK",
    currency: str = "IDR",
    on: date = DAY,
    edition: str = "08",
    detail: str = "",
    code: str = "",
) -> str:
    """One Ntry, over whole rupiah; `code` is domain/family/sub-family of its BkTxCd."""
    reference = f"B{uuid4().hex[:16]}" if reference is None else reference
    said = f"<Sts><Cd>{status}</Cd></Sts>" if edition == "08" else f"<Sts>{status}</Sts>"
    servicer = f"<AcctSvcrRef>{reference}</AcctSvcrRef>" if reference else ""
    refs = f"<Refs><EndToEndId>{e2e}</EndToEndId></Refs>" if e2e else ""
    kind = "<BkTxCd/>"
    if code:
        domain, family, sub_family = code.split("/")
        names = f"<Fmly><Cd>{family}</Cd><SubFmlyCd>{sub_family}</SubFmlyCd></Fmly>"
        kind = f"<BkTxCd><Domn><Cd>{domain}</Cd>{names}</Domn></BkTxCd>"
    remittance = f"<RmtInf><Ustrd>{text}</Ustrd></RmtInf>" if text else ""
    details = (
        f"<NtryDtls><TxDtls>{refs}{remittance}{detail}</TxDtls></NtryDtls>" if refs or remittance or detail else ""
    )
    return (
        f'<Ntry><NtryRef>1</NtryRef><Amt Ccy="{currency}">{rupiah_text(amount)}</Amt>'
        f"<CdtDbtInd>{'DBIT' if debit else 'CRDT'}</CdtDbtInd>{said}<BookgDt><Dt>{on}</Dt></BookgDt>"
        f"<ValDt><Dt>{on}</Dt></ValDt>{servicer}{kind}{details}</Ntry>"
    )


def _balance(code: str, amount: int, on: date, currency: str) -> str:
    mark = "DBIT" if amount < 0 else "CRDT"
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
        f'<Amt Ccy="{currency}">{rupiah_text(abs(amount))}</Amt><CdtDbtInd>{mark}</CdtDbtInd>'
        f"<Dt><Dt>{on}</Dt></Dt></Bal>"
    )


def camt_053(
    entries: Sequence[str],
    *,
    account: str = "8800000001",
    opening: int = 0,
    closing: int = 0,
    reference: str | None = None,
    sequence: int | None = None,
    on: date = DAY,
    currency: str = "IDR",
    edition: str = "08",
) -> str:
    """A statement."""
    number = "" if sequence is None else f"<ElctrncSeqNb>{sequence}</ElctrncSeqNb>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{edition}"><BkToCstmrStmt>'
        f"<GrpHdr><MsgId>M{uuid4().hex[:20]}</MsgId><CreDtTm>{on}T18:00:00</CreDtTm></GrpHdr>"
        f"<Stmt><Id>{reference or 'S' + uuid4().hex[:20]}</Id>{number}<CreDtTm>{on}T18:00:00</CreDtTm>"
        f"<Acct><Id><Othr><Id>{account}</Id></Othr></Id><Ccy>{currency}</Ccy></Acct>"
        f"{_balance('OPBD', opening, on, currency)}{_balance('CLBD', closing, on, currency)}{''.join(entries)}"
        "</Stmt></BkToCstmrStmt></Document>"
    )


def camt_054(entries: Sequence[str], *, account: str = "8800000001", on: date = DAY, edition: str = "08") -> str:
    """A notification."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.054.001.{edition}"><BkToCstmrDbtCdtNtfctn>'
        f"<GrpHdr><MsgId>M{uuid4().hex[:20]}</MsgId><CreDtTm>{on}T18:00:00</CreDtTm></GrpHdr>"
        f"<Ntfctn><Id>N{uuid4().hex[:20]}</Id><CreDtTm>{on}T18:00:00</CreDtTm>"
        f"<Acct><Id><Othr><Id>{account}</Id></Othr></Id><Ccy>IDR</Ccy></Acct>{''.join(entries)}"
        "</Ntfctn></BkToCstmrDbtCdtNtfctn></Document>"
    )


def pain_002(
    message_id: str,
    statuses: Sequence[tuple[str, str]] = (),
    *,
    group: str = "",
    reason: str = "AC04",
    on: date = DAY,
    edition: str = "10",
) -> str:
    """A status report on our message: (end to end id, status) of payments, or of the whole message."""
    transactions = "".join(
        f"<TxInfAndSts><OrgnlEndToEndId>{e2e}</OrgnlEndToEndId><TxSts>{code}</TxSts>"
        + (f"<StsRsnInf><Rsn><Cd>{reason}</Cd></Rsn></StsRsnInf>" if code == "RJCT" else "")
        + "</TxInfAndSts>"
        for e2e, code in statuses
    )
    block = f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{message_id}</OrgnlPmtInfId>{transactions}</OrgnlPmtInfAndSts>"
    group_status = f"<GrpSts>{group}</GrpSts>" if group else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.{edition}"><CstmrPmtStsRpt>'
        f"<GrpHdr><MsgId>M{uuid4().hex[:20]}</MsgId><CreDtTm>{on}T09:00:00</CreDtTm></GrpHdr>"
        f"<OrgnlGrpInfAndSts><OrgnlMsgId>{message_id}</OrgnlMsgId><OrgnlMsgNmId>pain.001</OrgnlMsgNmId>{group_status}"
        f"</OrgnlGrpInfAndSts>{block if statuses else ''}</CstmrPmtStsRpt></Document>"
    )


def schema_valid_samples() -> dict[str, bytes]:
    """One file of every edition that is read: a debit of 100 and a credit of 250 rupiah, or two statuses."""
    found = {}
    for edition in ("02", "08"):
        entries = [
            entry(100, e2e="A" * 32, text="00001/SP2D/2026", edition=edition),
            entry(250, debit=False, text="setoran", edition=edition),
        ]
        found[f"camt.053.001.{edition}"] = camt_053(entries, closing=150, sequence=3, edition=edition).encode()
        found[f"camt.054.001.{edition}"] = camt_054(entries, edition=edition).encode()
    for edition in ("03", "10"):
        statuses = [("A" * 32, "RJCT"), ("C" * 32, "ACCP")]
        found[f"pain.002.001.{edition}"] = pain_002("B" * 32, statuses, edition=edition).encode()
    return found


def mutated(chance: random.Random, content: bytes) -> bytes:
    """The file with one to three wounds: bytes changed, cut, doubled, or tags and digits exchanged."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(data))
        wound = chance.randrange(6)
        if wound == 0:
            data[at] = chance.randrange(256)
        elif wound == 1:
            del data[at : at + chance.randint(1, 60)]
        elif wound == 2:
            data[at:at] = data[at : at + chance.randint(1, 200)]
        elif wound == 3:
            data[at:at] = chance.choice([b"<", b">", b"&", b"\x00", b"<Ntry>", b"</Ntry>", b"\xff", b"<!DOCTYPE a>"])
        elif wound == 4:
            data = bytearray(
                bytes(data).replace(
                    chance.choice([b"IDR", b"DBIT", b"00", b"2026", b"BOOK"]), b"9", chance.randint(1, 3)
                )
            )
        else:
            spans = [nth for nth, byte in enumerate(data) if byte in b"0123456789"]
            data[chance.choice(spans)] = ord(chance.choice("0123456789-.eE"))
        if not data:
            return b""
    return bytes(data)
