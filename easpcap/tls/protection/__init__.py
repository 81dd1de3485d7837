"""Record protection: one module per kind of cipher."""
