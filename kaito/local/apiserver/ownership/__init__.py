"""Field ownership: field sets, structured merging and managedFields."""
