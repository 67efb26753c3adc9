"""Work that may have to be killed runs in processes of its own."""
