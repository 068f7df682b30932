"""Pod security: what the labels of a namespace demand of the pods in it."""
