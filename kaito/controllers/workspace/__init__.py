"""The workspace controller: one small resource becomes a running model on nodes of its own."""
