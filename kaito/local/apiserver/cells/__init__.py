"""The cells of built-in kinds: what kubectl shows of an object in one line."""
