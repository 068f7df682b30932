"""What users write and read: the kinds, their defaults, their rules and their CRDs."""
