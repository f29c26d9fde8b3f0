"""What goes wrong on purpose: rules, broken bodies and broken connections."""
