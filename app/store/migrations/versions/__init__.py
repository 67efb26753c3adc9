"""Changes of the store's schema, oldest first; applied at start by `app.store.database`."""
