"""The SQL guard: a statement is parsed, its tables substituted by what the caller may see, and rendered anew."""
