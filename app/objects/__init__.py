"""What a byte sequence with a name is allowed to be called, and how its content comes masked. No IO."""
