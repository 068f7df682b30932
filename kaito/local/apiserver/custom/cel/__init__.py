"""CEL rules of custom resources: parsed, checked, priced and evaluated."""
