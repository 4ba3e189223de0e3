"""Readers: a file becomes batches of features. They run in the guarded child only."""
