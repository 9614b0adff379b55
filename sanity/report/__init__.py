"""The answer: what finished runs say about a method, with statistics and in pictures.

Reads records; no stage knows of it.
"""
