from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from clearing.settlement.leaves import Leaf, day_secret, leaf_hasher, salt_of
from clearing.settlement.merkle import EMPTY, RootMaker, inclusion_path, is_included, leaf_hash, root_of

# The leaves and roots of the known-answer test of certificate transparency (RFC 6962), for trees of 1 to 8 leaves.
_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
_ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert root_of(map(leaf_hash, _LEAVES[:size])).hex() == _ROOTS[size - 1]
    assert root_of([]) == EMPTY


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=70), st.data())
def test_another_library_makes_the_same_root_and_the_same_path(data: list[bytes], chosen: st.DataObject) -> None:
    other = InmemoryTree(algorithm="sha256")
    for each in data:
        other.append_entry(each)
    hashes = [leaf_hash(each) for each in data]
    root = root_of(hashes)
    assert root == other.get_root()
    index = chosen.draw(st.integers(0, len(data) - 1))
    path = inclusion_path(hashes, index)
    proof = other.prove_inclusion(index + 1).serialize()
    assert [each.hex() for each in path] == proof["path"][1:]
    assert is_included(hashes[index], index, len(data), path, root)


@given(st.integers(1, 200), st.data())
def test_a_proof_is_of_one_leaf_at_one_place(size: int, chosen: st.DataObject) -> None:
    hashes = [leaf_hash(number.to_bytes(2, "big")) for number in range(size)]
    root, index = root_of(hashes), chosen.draw(st.integers(0, size - 1))
    path = inclusion_path(hashes, index)
    assert is_included(hashes[index], index, size, path, root)
    assert not is_included(leaf_hash(b"other"), index, size, path, root)
    for place in {index - 1, index + 1, -1, size}:
        assert not is_included(hashes[index], place, size, path, root)
    assert not is_included(hashes[index], index, size, [*path, root], root)
    if path:
        assert not is_included(hashes[index], index, size, path[:-1], root)
        assert not is_included(hashes[index], index, size, [leaf_hash(path[0]), *path[1:]], root)


def test_the_root_can_be_asked_for_at_every_leaf() -> None:
    maker = RootMaker()
    for size in range(1, 9):
        maker.add(leaf_hash(_LEAVES[size - 1]))
        assert (maker.size, maker.root().hex()) == (size, _ROOTS[size - 1])


@given(st.text(max_size=200), st.text(max_size=80), st.binary(min_size=32, max_size=32))
def test_the_quick_way_to_hash_a_leaf_is_the_documented_one(text: str, key: str, secret: bytes) -> None:
    text, key = (each.encode(errors="replace").decode() for each in (text, key))
    assert leaf_hasher(secret)(Leaf("accepted", key, text)) == leaf_hash(salt_of(secret, key) + text.encode())


def test_each_day_of_each_city_has_salts_of_its_own() -> None:
    secrets = {
        day_secret(b"k" * 32, city, day) for city in ("almaty", "astana") for day in ("2024-05-15", "2024-05-16")
    }
    assert len(secrets) == 4
    assert len({salt_of(secret, "a/1/1") for secret in secrets}) == 4
