"""The classroom: exercises that answer at once.

In a notebook, ``from dml_teach.classroom import check``, then ``check.NAME(your_function)``: it runs the function and
says in words what it does rightly or which property fails. ``check.NAME.hint(1)`` to ``hint(3)`` go step by step, and
``check.progress()`` shows what has been passed so far.
"""

from dml_teach.classroom.registry import check

__all__ = ["check"]
