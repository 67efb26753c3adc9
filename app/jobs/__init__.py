"""What runs beside the requests: doors through which time comes in."""
