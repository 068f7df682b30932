"""The expression language of rules and match conditions: read, typed, priced, evaluated."""
