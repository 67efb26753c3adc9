"""What a message may be called, hold and show. No IO."""
