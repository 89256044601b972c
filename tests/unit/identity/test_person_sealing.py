"""Personal data at rest: it opens in its own row under its own key, and nowhere else."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.identity import key_files
from services.identity.person import sealing
from services.identity.person.sealing import KeyFileInvalid, SealBroken, Sealer

ROW, OTHER_ROW = UUID(int=1), UUID(int=2)
PLAINTEXT = b'{"full_name": "Budi Santoso"}'


def sealer(current: str = "1", **masters: bytes) -> Sealer:
    return Sealer(current, masters or {"1": os.urandom(32)}, b"i" * 32)


@given(st.binary(max_size=500))
def test_what_is_sealed_opens_and_does_not_show(plaintext):
    seals = sealer()

    sealed = seals.seal("person", ROW, plaintext)

    assert seals.open("person", ROW, sealed) == plaintext
    assert len(plaintext) < 4 or plaintext not in sealed.ciphertext
    assert seals.seal("person", ROW, plaintext) != sealed


@pytest.mark.parametrize("place", [("person", OTHER_ROW), ("payee", ROW)])
def test_a_value_copied_to_another_row_or_table_does_not_open(place):
    seals = sealer()
    sealed = seals.seal("person", ROW, PLAINTEXT)

    with pytest.raises(SealBroken):
        seals.open(*place, sealed)


@pytest.mark.parametrize("part", ["ciphertext", "wrapped_key"])
def test_every_altered_byte_is_found(part):
    seals = sealer()
    sealed = seals.seal("person", ROW, PLAINTEXT)
    value = getattr(sealed, part)

    for place in range(len(value)):
        altered = value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
        with pytest.raises(SealBroken):
            seals.open("person", ROW, replace(sealed, **{part: altered}))


def test_a_new_master_key_seals_and_the_old_one_still_opens():
    old, new = os.urandom(32), os.urandom(32)
    before = sealer("1", **{"1": old}).seal("person", ROW, PLAINTEXT)
    rotated = sealer("2", **{"1": old, "2": new})

    after = rotated.seal("person", ROW, PLAINTEXT)

    assert (before.key_id, after.key_id) == ("1", "2")
    assert rotated.open("person", ROW, before) == PLAINTEXT
    with pytest.raises(SealBroken, match="not in the key file"):
        sealer("1", **{"1": old}).open("person", ROW, after)


def test_the_blind_index_tells_equal_from_unequal_and_needs_the_key():
    one, other = sealer(), Sealer("1", {"1": os.urandom(32)}, b"j" * 32)

    assert one.blind_index("id.nik", "3273991708909991") == sealer().blind_index("id.nik", "3273991708909991")
    assert one.blind_index("id.nik", "3273991708909991") != one.blind_index("id.npwp", "3273991708909991")
    assert one.blind_index("id.nik", "3273991708909991") != other.blind_index("id.nik", "3273991708909991")
    assert one.index_key_id != other.index_key_id


def test_fresh_keys_are_made_once_and_read_back(tmp_path):
    file = tmp_path / "keys" / "sealing_keys.json"

    key_files.ensure(file, sealing.new_key_file_content)
    first = file.read_bytes()
    key_files.ensure(file, sealing.new_key_file_content)

    assert file.read_bytes() == first
    assert file.stat().st_mode & 0o777 == 0o600
    row = uuid4()
    sealed = sealing.load(file).seal("person", row, PLAINTEXT)
    assert sealing.load(file).open("person", row, sealed) == PLAINTEXT
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        "[]",
        '{"current": "1"}',
        '{"current": "2", "master_keys": {"1": "c2hvcnQ="}, "index_key": "c2hvcnQ="}',
        '{"current": "1", "master_keys": {"1": "c2hvcnQ="}, "index_key": "c2hvcnQ="}',
        '{"current": "1", "master_keys": {"1": "*"}, "index_key": "c2hvcnQ="}',
    ],
)
def test_a_broken_key_file_is_refused_without_showing_it(tmp_path, content):
    file = tmp_path / "sealing_keys.json"
    file.write_text(content)

    with pytest.raises(KeyFileInvalid) as refused:
        sealing.load(file)

    assert "c2hvcnQ" not in str(refused.value)


def test_a_sealer_does_not_show_its_keys():
    assert repr(sealer()) == "Sealer(current='1')"


def test_of_many_that_start_at_once_all_use_the_same_fresh_keys(tmp_path):
    file = tmp_path / "keys" / "sealing_keys.json"

    def start(_: int) -> str:
        key_files.ensure(file, sealing.new_key_file_content)
        return sealing.load(file).index_key_id

    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(start, range(16)))

    assert len(found) == 1
    assert list(file.parent.iterdir()) == [file]
