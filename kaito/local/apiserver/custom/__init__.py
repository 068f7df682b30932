"""Custom resources: definitions, structural schemas, validation and rules."""
