"""Reports of the command line, held to the schema that is published."""

from __future__ import annotations

import json
from importlib.resources import files

import jsonschema

SCHEMA = json.loads((files("dask_kmeans.cli") / "report.schema.json").read_text(encoding="utf-8"))


def checked(text):
    """A report, which has to be as the schema says."""
    report = json.loads(text)
    jsonschema.validate(report, SCHEMA, cls=jsonschema.Draft202012Validator)
    return report


def undescribed(report):
    """Fields of a report that the schema does not name."""
    return report.keys() - SCHEMA["$defs"][report["command"]]["properties"].keys()


def checked_of(arguments, out):
    """The report that a command left, if it was asked for one in JSON; `out`: its stdout."""
    arguments = list(map(str, arguments))
    if "--report" in arguments:
        place = arguments[arguments.index("--report") + 1]
        if place == "-":
            checked(out)
        elif place.endswith(".json"):
            with open(place, encoding="utf-8") as file:
                checked(file.read())
