"""What is wrong with the places of outputs, and with models and checkpoints that are kept there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from dask_kmeans.checks.wording import ESTIMATOR, message_of, text, typed

_OTHER_PLACE = typed(f"{ESTIMATOR}(checkpoint='other.checkpoint')", "--checkpoint other.checkpoint")


def existing_output_error(path: str) -> FileExistsError:
    return FileExistsError(
        text(
            f"{path} exists already and is left as it is. Choose another place, or type ",
            typed(f"model.save({path!r}, overwrite=True)", "--overwrite"),
            " to replace it",
        )
    )


def foreign_folder_error(path: str) -> FileExistsError:
    return FileExistsError(
        text(
            f"{path} is a folder that dask_kmeans did not write, so it is not replaced, not even "
            "with ",
            typed("overwrite=True", "--overwrite"),
            ". Choose another place, or remove it yourself",
        )
    )


def missing_folder_error(path: str, folder: str) -> FileNotFoundError:
    make = f"mkdir -p {shlex.quote(folder)}"
    return FileNotFoundError(
        text(
            f"Cannot write {path}: there is no folder {folder}. Type ",
            typed(f"os.makedirs({folder!r})", make),
        )
    )


def output_format_error(path: str, what: str, endings: Sequence[str]) -> ValueError:
    return ValueError(
        text(
            f"Cannot tell in which format to write {path}: {what} go to a name that ends in "
            f"{', '.join(endings)}"
        )
    )


def labels_dimensions_error(path: str, n_dimensions: int) -> ValueError:
    return ValueError(
        text(
            f"Labels of {n_dimensions} dimensions are no column of a table, such as {path}. Write "
            "them to a name that ends in .zarr, which keeps dimensions and coordinates"
        )
    )


def labels_no_table_error(path: str, source: str) -> ValueError:
    """For a table of the labels of a Dataset in a file."""
    stem = shlex.quote(re.sub(r"\.\w+$", "", path.rstrip("/")))
    return ValueError(
        text(
            f"Labels of {source} have its dimensions, and are no table, such as {path}. Type "
            f"--labels {stem}.zarr, which keeps dimensions and coordinates, or a name in .npy"
        )
    )


def no_text_column_error(column: str, kind: str, path: str) -> ValueError:
    return ValueError(
        text(
            f"Column {column!r} holds {kind}, which has no form as text in {path}. Write to a name "
            "that ends in .parquet"
        )
    )


def stdout_error(reason: OSError) -> OSError:
    return OSError(text(f"Cannot write to stdout: {reason}. Send the output elsewhere"))


def invalid_model_error(path: str, reason: Any) -> ValueError:
    return ValueError(
        text(
            f"{path} is not a valid model: {reason}. Models are written by ",
            typed(f"{ESTIMATOR}.save(url) and by dask-kmeans fit --model", "fit --model"),
        )
    )


def unreachable_checkpoint_error(what: str, path: str, reason: Exception) -> OSError:
    """For a checkpoint that cannot be read or written (`what`)."""
    return OSError(
        text(
            f"Cannot {what} the checkpoint {path}: {type(reason).__name__}: ",
            message_of(reason),
            ". Type ",
            _OTHER_PLACE,
            " for a place that can be read and written",
        )
    )


def invalid_checkpoint_error(path: str, reason: Exception) -> ValueError:
    return ValueError(
        text(
            f"{path} is not a valid checkpoint: {str(reason) or type(reason).__name__}. Remove it, "
            "or type ",
            _OTHER_PLACE,
        )
    )


def other_checkpoint_error(
    path: str, what: str, kept: Mapping[str, Any], given: Mapping[str, Any]
) -> ValueError:
    """For a checkpoint of other data or parameters (`what`): those it was made of, those given."""
    differing = [
        f"{name} was {kept.get(name)!r} and is {given.get(name)!r}"
        for name in sorted(kept.keys() | given.keys())
        if kept.get(name) != given.get(name)
    ]
    return ValueError(
        text(
            f"The checkpoint {path} is of other {what}: {'; '.join(differing)}. Go on with what it "
            "was made of, remove it, or type ",
            _OTHER_PLACE,
        )
    )


def kept_state_error(path: str) -> FileExistsError:
    """For the state of a fit that nothing says to go on from; only commands need to be told."""
    return FileExistsError(
        text(
            f"{path} holds the state of a fit that has not ended. Type --resume to go on from it, "
            "or remove it to start anew"
        )
    )
