"""The tamper-evident log: canonical entries, Merkle tree, signed checkpoints, verification. Bytes in, bytes out."""
