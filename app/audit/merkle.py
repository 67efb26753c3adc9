"""RFC 9162 Merkle tree over SHA-256: a compact range to append to, and proofs over known leaf hashes."""

from collections.abc import Callable, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    # RFC 9162 prefixes: a leaf can never be read as a node
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class CompactRange:
    """The right edge of a tree: one hash per set bit of its size, largest subtree first. Appending costs O(1)
    amortised; nothing of the earlier leaves is needed."""

    __slots__ = ("_hashes", "size")

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if len(hashes) != size.bit_count() or any(len(h) != HASH_BYTES for h in hashes):
            raise ValueError("a compact range has one 32-byte hash per set bit of its size")
        self.size = size
        self._hashes = list(hashes)

    @property
    def hashes(self) -> tuple[bytes, ...]:
        return tuple(self._hashes)

    def append(self, leaf: bytes) -> None:
        carry, size, hashes = leaf, self.size, self._hashes
        while size & 1:
            carry = sha256(b"\x01" + hashes.pop() + carry).digest()
            size >>= 1
        hashes.append(carry)
        self.size += 1

    def append_subtree(self, root: bytes, height: int) -> None:
        """A perfect subtree of 2**height leaves at once; the size must be a multiple of that."""
        if self.size % (1 << height):
            raise ValueError("a subtree starts at a multiple of its own size")
        carry, size, hashes = root, self.size >> height, self._hashes
        while size & 1:
            carry = sha256(b"\x01" + hashes.pop() + carry).digest()
            size >>= 1
        hashes.append(carry)
        self.size += 1 << height

    def root(self) -> bytes:
        if not self._hashes:
            return EMPTY_ROOT
        folded = self._hashes[-1]
        for left in reversed(self._hashes[:-1]):
            folded = node_hash(left, folded)
        return folded


def root_of(leaves: Sequence[bytes]) -> bytes:
    tree = CompactRange()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


Subtree = Callable[[int, int], bytes]
"""Hash of the leaves [start, end): whoever stores tiles answers it quickly."""


def subtree_of(leaves: Sequence[bytes]) -> Subtree:
    return lambda start, end: root_of(leaves[start:end])


def inclusion_proof(index: int, size: int, subtree: Subtree) -> tuple[bytes, ...]:
    """RFC 9162 2.1.3.1: from the leaf's sibling up to the root's child."""
    if not 0 <= index < size:
        raise ValueError("the entry is not in a tree of that size")
    start, end = 0, size
    path: list[bytes] = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(subtree(middle, end))
            end = middle
        else:
            path.append(subtree(start, middle))
            start = middle
    path.reverse()
    return tuple(path)


def consistency_proof(old: int, new: int, subtree: Subtree) -> tuple[bytes, ...]:
    """RFC 9162 2.1.4.1; empty when `old` is 0 or `new`."""
    if not 0 <= old <= new:
        raise ValueError("the older tree is the smaller one")
    if old in (0, new):
        return ()
    start, end, known = 0, new, True
    path: list[bytes] = []
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(subtree(middle, end))
            end = middle
        else:
            path.append(subtree(start, middle))
            start, known = middle, False
    if not known:
        path.append(subtree(start, end))
    path.reverse()
    return tuple(path)


def included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """RFC 9162 2.1.3.2."""
    if not 0 <= index < size:
        return False
    node, last, current = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            current = node_hash(sibling, current)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            current = node_hash(current, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and current == root


def consistent(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """RFC 9162 2.1.4.2."""
    if not 0 <= old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    of_old = of_new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            of_old, of_new = node_hash(sibling, of_old), node_hash(sibling, of_new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            of_new = node_hash(of_new, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and of_old == old_root and of_new == new_root


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1
