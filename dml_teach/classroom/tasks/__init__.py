"""The tasks of the exercises, a module for each chapter; each lists them as `TASKS`.

A reference is slow and obvious, in plain NumPy and double precision, and knows the typical mistakes as flags.
"""
