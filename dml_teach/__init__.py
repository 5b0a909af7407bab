"""Deep Mutual Learning, from one network to N peers that teach each other.

Importing the package stays light: PyTorch, plots and Jupyter load with the module that uses them.
"""

__version__ = "0.1.0"
