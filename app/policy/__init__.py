"""Who may do what: documents become rules, rules become decisions. No IO, no clock."""
