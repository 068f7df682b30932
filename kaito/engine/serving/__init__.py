"""The transformers server: `transformers serve`, made fit to be a Pod.

What transformers maintains answers: its application, its handlers of chats and completions, its
continuous batching. This package is the glue around them; what it replaces of theirs says why.
"""
