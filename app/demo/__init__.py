"""Everything a newcomer needs at once: a generated shop, keys, a configuration, and lines to paste."""
