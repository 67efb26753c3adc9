from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audit.merkle import (
    EMPTY_ROOT,
    CompactRange,
    consistency_proof,
    consistent,
    included,
    inclusion_proof,
    leaf_hash,
    root_of,
    subtree_of,
)

# The test entries and roots that implementations of Certificate Transparency share
ENTRIES = tuple(
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
)
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
LEAVES = [leaf_hash(bytes([n])) for n in range(70)]


def recursive_root(leaves: list[bytes]) -> bytes:
    """RFC 9162 2.1.1, word for word."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + recursive_root(leaves[:k]) + recursive_root(leaves[k:])).digest()


def test_roots_are_those_of_other_implementations() -> None:
    for size, root in enumerate(ROOTS, start=1):
        assert root_of([leaf_hash(e) for e in ENTRIES[:size]]).hex() == root
    assert root_of([]) == sha256(b"").digest()


@given(st.integers(0, 70))
def test_appending_gives_the_root_of_the_definition(size: int) -> None:
    assert root_of(LEAVES[:size]) == recursive_root(LEAVES[:size])


def test_every_leaf_of_every_tree_has_a_proof_that_holds_for_it_alone() -> None:
    for size in range(1, 34):
        root = root_of(LEAVES[:size])
        for index in range(size):
            proof = inclusion_proof(index, size, subtree_of(LEAVES[:size]))
            assert included(LEAVES[index], index, size, proof, root)
            assert not included(LEAVES[index + 1], index, size, proof, root)
            assert not any(included(LEAVES[index], other, size, proof, root) for other in range(size) if other != index)
            assert not included(LEAVES[index], index, size, (*proof, root), root)
            assert not proof or not included(LEAVES[index], index, size, proof[:-1], root)


def test_every_pair_of_trees_has_a_consistency_proof_that_holds_for_it_alone() -> None:
    roots = [root_of(LEAVES[:size]) for size in range(34)]
    for new in range(34):
        for old in range(new + 1):
            proof = consistency_proof(old, new, subtree_of(LEAVES[:new]))
            assert consistent(old, new, roots[old], roots[new], proof)
            assert old == 0 or not consistent(old, new, roots[old], LEAVES[-1], proof)
            assert not consistent(old, new, LEAVES[-1], roots[new], proof)
            assert not consistent(old, new, roots[old], roots[new], (*proof, roots[new]))
            if proof:
                assert not consistent(old, new, roots[old], roots[new], proof[:-1])


def test_a_compact_range_can_be_carried_on() -> None:
    first = CompactRange()
    for leaf in LEAVES[:37]:
        first.append(leaf)
    second = CompactRange(first.size, first.hashes)
    for leaf in LEAVES[37:]:
        second.append(leaf)
    assert second.root() == root_of(LEAVES)


def test_a_compact_range_refuses_hashes_that_do_not_fit_its_size() -> None:
    with pytest.raises(ValueError, match="set bit"):
        CompactRange(3, (LEAVES[0],))


def test_subtrees_join_only_where_they_start() -> None:
    tree = CompactRange()
    tree.append_subtree(root_of(LEAVES[:4]), 2)
    tree.append(LEAVES[4])
    assert tree.root() == root_of(LEAVES[:5])
    with pytest.raises(ValueError, match="multiple"):
        tree.append_subtree(LEAVES[5], 1)


def test_proofs_refuse_what_is_not_in_the_tree() -> None:
    with pytest.raises(ValueError, match="not in a tree"):
        inclusion_proof(5, 5, subtree_of(LEAVES))
    with pytest.raises(ValueError, match="smaller"):
        consistency_proof(6, 5, subtree_of(LEAVES))
