"""Exceptions of this package."""

from __future__ import annotations


class ReadError(OSError):
    """A part of the data could not be read; the text names the source, the part and its rows."""


class DataChangedError(ReadError):
    """The data was written to while it was read: what was learnt of it belongs to no one state."""


class ClusterError(RuntimeError):
    """The cluster, not the data, ended a computation; the text says how to go on."""


class InvalidFileError(ValueError):
    """A file is not of the format that its name says; reading it again would not help."""


class RaggedError(ValueError):
    """A vector of a column is not as long as its first one."""


class CategoryError(ValueError):
    """A row has a category that is none of those of the fit, or a column has too many of them."""


class NonFiniteError(ValueError):
    """A value of the data is NaN or infinite."""


class BadWeightError(ValueError):
    """A sample weight is negative, NaN or infinite."""


class ParameterError(ValueError, TypeError):
    """A parameter of the estimator has a value that it cannot have."""
