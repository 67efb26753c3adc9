"""What exactly a human is asked to approve."""
