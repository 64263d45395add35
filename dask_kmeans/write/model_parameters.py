"""The parameters of an estimator as a model stores them, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from dask_kmeans import checks
from dask_kmeans.write.jsonable import jsonable

UNSTORED = ("init", "random_state", "callbacks", "feature_weight")
"""Parameters that may be functions, generators or labelled arrays, which no model stores."""


def stored_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON knows them, without functions, generators and what is secret in URLs.

    Raises
    ------
    TypeError
        For anything else that has no form in JSON.
    """
    stored = {}
    for name, value in parameters.items():
        if name == "init" and not isinstance(value, str):
            value = getattr(value, "cluster_centers_", value)
            value = value if callable(value) else np.asarray(value, np.float64)
        try:
            plain = jsonable(value)
        except TypeError:
            if name not in UNSTORED:
                raise
        else:
            stored[name] = checks.shown_url(plain) if isinstance(plain, str) else plain
    return stored


def restored_parameters(stored: Mapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """What `stored_parameters` stored; what it left out is left to the defaults.

    Parameters
    ----------
    stored : mapping
    known : iterable of str
        Parameters of this version.

    Raises
    ------
    ValueError
        For parameters that are not known: they may change what the model says.
    """
    unknown = sorted(stored.keys() - set(known))
    if unknown:
        raise ValueError(checks.unknown_fields_text("parameters", unknown))
    parameters = dict(stored)
    if isinstance(parameters.get("init"), list):
        parameters["init"] = np.array(parameters["init"], np.float64)
    if isinstance(parameters.get("feature_dim"), list):
        parameters["feature_dim"] = tuple(parameters["feature_dim"])
    return parameters
