"""What a folder or a glob holds: files of one table, partitions, and what is passed over."""

from __future__ import annotations

import fnmatch
import os
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import unquote

from dask.utils import natural_sort_key

from dask_kmeans import checks
from dask_kmeans.read.retry import Part, retried
from dask_kmeans.read.url import ZARR_MARKERS, Place, full_name, is_local, without_query

PARQUET = (".parquet", ".pq", ".parq")
CSV = (".csv", ".csv.gz", ".csv.bz2", ".csv.xz")
NPY = (".npy",)

FORMATS = {"Parquet": PARQUET, "CSV": CSV, "NumPy": NPY}

MAGIC = {b"PAR1": "Parquet", b"\x93NUM": "NumPy"}
"""How files begin that may have any name, such as the `part-00000` of Hadoop."""

SILENT = (".*", "*.crc", "_SUCCESS", "_metadata", "_common_metadata", "_started_*", "_committed_*")
"""Names of what writers of tables leave beside the data; nobody misses it."""

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"

AT_ONCE = 16
"""Files of unknown names that are looked into side by side: they may be far away."""


@dataclass(frozen=True)
class Listing:
    """The files of one table, in the order of their rows.

    Attributes
    ----------
    format : str or None
        A key of `FORMATS`; None where nothing says what they are.
    files : tuple of str
    partitions : tuple of dict
        Of each file: key -> text of the folders `key=text` that it lies in.
    names : tuple of str
        Of each file: its path from the folder, or from the part of a glob that is no pattern; of a
        single file its name. Where several places were given, its whole path.
    """

    format: str | None
    files: tuple[str, ...]
    partitions: tuple[dict[str, str | None], ...] = field(repr=False)
    names: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, place: Place) -> Listing:
        """The file at a place, those in the folder or those that the glob matches.

        What exists is no glob, whatever its name. Files come in natural order, part 2 before 10.
        """
        fs, path, url = place.fs, place.path, place.url
        if place.is_file():
            name = os.path.basename(without_query(path))
            return cls(_format_of(path) or _content_of(fs, path, url), (path,), ({},), (name,))
        if retried(lambda: fs.exists(path), url, Part("its directory entry")):
            return cls._of_folder(fs, path, url)
        if any(character in path for character in "*?["):
            return cls._of_glob(fs, path, url)
        raise checks.missing_path_error(url)

    @classmethod
    def of_all(cls, places: Sequence[Place], url: str) -> Listing:
        """All files of several places, in the order of the places; `url` is what to call them."""
        listings = [cls.of(place) for place in places]
        kinds = [
            f"{each.format}" if place.is_local else f"remote {each.format}"
            for place, each in zip(places, listings, strict=True)
        ]
        if len(set(kinds)) > 1:
            raise checks.mixed_paths_error(url, Counter(kinds))
        files = tuple(file for each in listings for file in each.files)
        partitions = tuple(keys for each in listings for keys in each.partitions)
        names = listings[0].names if len(places) == 1 else tuple(map(checks.shown_url, files))
        return cls(listings[0].format, files, partitions, names)

    @classmethod
    def _of_folder(cls, fs: Any, root: str, url: str) -> Listing:
        """All that lies in a folder, at any depth."""
        _refuse_formats(fs, _own_table(root), url)
        return cls._of(fs, _below(fs, root, url), len(root.rstrip("/")) + 1, url)

    @classmethod
    def _of_glob(cls, fs: Any, pattern: str, url: str) -> Listing:
        """What a pattern matches: files, and all that lies in the folders that it matches."""
        found = retried(lambda: fs.glob(pattern), url, Part("its folder"))
        if not found:
            raise checks.missing_path_error(url)
        fixed = re.split(r"[*?\[]", pattern)[0].rpartition("/")[0]
        _refuse_formats(fs, {table for path in found for table in _own_table(_parent(path))}, url)
        folders = retried(lambda: set(filter(fs.isdir, found)), url, Part("its folder"))
        below = [file for folder in sorted(folders) for file in _below(fs, folder, url)]
        files = [path for path in found if path not in folders]
        return cls._of(fs, list(dict.fromkeys([*files, *below])), len(fixed) + 1, url)

    @classmethod
    def _of(cls, fs: Any, paths: list[str], prefix: int, url: str) -> Listing:
        tables = {table for path in paths for table in _tables_around(path, prefix)}
        if tables:
            kind, table = min(tables)
            raise checks.table_format_error(url, kind, full_name(fs, table))
        stores = {_parent(path) for path in paths if os.path.basename(path) in ZARR_MARKERS}
        paths = [p for p in paths if not any(p.startswith(f"{store}/") for store in stores)]
        shown = [p for p in paths if not _is_silent(p[prefix:])]
        formats = dict(zip(shown, _formats_of(fs, shown, prefix, url), strict=True))
        files = sorted((p for p, kind in formats.items() if kind), key=natural_sort_key)
        passed_over = [p[prefix:] for p, kind in formats.items() if kind is None]
        passed_over += [store[prefix:] for store in stores if f"{store}/"[prefix:]]
        kinds = {formats[path] for path in files}
        if len(kinds) > 1:
            counts = {str(kind): list(formats.values()).count(kind) for kind in kinds}
            raise checks.mixed_folder_error(url, counts)
        if not files:
            raise checks.empty_folder_error(url, sorted(passed_over, key=natural_sort_key))
        checks.warn_passed_over(url, sorted(passed_over, key=natural_sort_key))
        partitions = tuple(dict(_partitions(path[prefix:])) for path in files)
        names = tuple(path[prefix:] for path in files)
        return cls(kinds.pop(), tuple(files), partitions, names)


def partition_columns(listing: Listing, taken: Iterable[str]) -> dict[str, list[float] | None]:
    """Columns that folders `key=text` make, but for those that the files have themselves.

    A number for each file, or None for texts. As Arrow has it, numbers are integers; a key that a
    file lacks is a missing value.
    """
    keys = dict.fromkeys(key for each in listing.partitions for key in each)
    columns: dict[str, list[float] | None] = {}
    for key in keys.keys() - set(taken):
        texts = [each.get(key) for each in listing.partitions]
        known = [text for text in texts if text is not None]
        numbers = bool(known) and all(re.fullmatch(r"[+-]?\d{1,18}", text) for text in known)
        columns[key] = (
            [float("nan") if text is None else int(text) for text in texts] if numbers else None
        )
    return {key: columns[key] for key in keys if key in columns}


def constants_of(
    listing: Listing,
    folders: dict[str, list[float] | None],
    number: int,
    wanted: Container[str | None],
    one_hot: Container[str] = (),
) -> dict[str, Any]:
    """Values of partition columns in the file of a number, of those that are wanted.

    one_hot : those that are columns of categories, which are texts
    """
    there = {name: of for name, of in folders.items() if name in wanted}
    numbers = {name: of[number] for name, of in there.items() if of is not None}
    return numbers | {
        name: _category(listing, folders, number, name) for name in there if name in one_hot
    }


def folder_categories(
    listing: Listing, folders: dict[str, list[float] | None], name: str
) -> set[str]:
    """The categories of a partition column."""
    found = {_category(listing, folders, number, name) for number in range(len(listing.files))}
    return {category for category in found if category is not None}


def _category(
    listing: Listing, folders: dict[str, list[float] | None], number: int, name: str
) -> str | None:
    """That of the file of a number: of numbers, as they are written."""
    text, numbers = listing.partitions[number].get(name), folders[name]
    return text if text is None or numbers is None else str(numbers[number])


def _partitions(path: str) -> Iterator[tuple[str, str | None]]:
    for part in path.split("/")[:-1]:
        key, equals, text = part.partition("=")
        if key and equals:
            yield unquote(key), None if text == NO_VALUE else unquote(text)


def _below(fs: Any, root: str, url: str) -> list[str]:
    """All files below a folder; links are followed, but not in a circle."""
    root = root.rstrip("/")
    walk = fs.find if not is_local(fs) else lambda folder: list(_walk(folder, frozenset()))
    return retried(partial(walk, root), url, Part("its folder"))


def _walk(folder: str, above: frozenset[str]) -> Iterator[str]:
    real = os.path.realpath(folder)
    if real in above:
        return
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _walk(f"{folder}/{entry.name}", above | {real})
        else:
            yield f"{folder}/{entry.name}"


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _is_silent(path: str) -> bool:
    *folders, name = path.split("/")
    hidden = any(folder.startswith(".") for folder in folders)
    return hidden or any(fnmatch.fnmatchcase(name, pattern) for pattern in SILENT)


# ---------------------------------------------------------------------------------- table formats


def _tables_around(path: str, prefix: int) -> Iterator[tuple[str, str]]:
    """(format, folder) of the tables whose own records a file belongs to, below the prefix."""
    *folders, name = path[prefix:].split("/")
    for number, folder in enumerate(folders):
        table = "/".join([path[: prefix - 1], *folders[:number]])
        if folder == "_delta_log":
            yield "Delta", table
        if folder == ".hoodie":
            yield "Hudi", table
        if folder == "metadata" and name.endswith(".metadata.json"):
            yield "Iceberg", table


def _own_table(folder: str) -> list[str]:
    """A folder, and those above it of which it is a partition: where records of it may lie."""
    found = [folder.rstrip("/")]
    while "=" in os.path.basename(found[-1]):
        found.append(_parent(found[-1]))
    # The data of an Iceberg table lies beside its records.
    return found + [_parent(each) for each in found if os.path.basename(each) == "data"]


def _refuse_formats(fs: Any, folders: Iterable[str], url: str) -> None:
    for folder in folders:
        kind = retried(partial(_format_of_folder, fs, folder), url, Part("its folder"))
        if kind is not None:
            raise checks.table_format_error(url, kind, full_name(fs, folder))


def _format_of_folder(fs: Any, folder: str) -> str | None:
    """The table format whose records lie in a folder."""
    for kind, name in (("Delta", "_delta_log"), ("Hudi", ".hoodie")):
        if fs.isdir(f"{folder}/{name}"):
            return kind
    if fs.isdir(f"{folder}/metadata") and any(
        name.endswith(".metadata.json") for name in fs.ls(f"{folder}/metadata", detail=False)
    ):
        return "Iceberg"
    return None


# ---------------------------------------------------------------------------------------- formats


def _format_of(path: str) -> str | None:
    lower = without_query(path).lower()
    return next((kind for kind, endings in FORMATS.items() if lower.endswith(endings)), None)


def _content_of(fs: Any, path: str, name: str) -> str | None:
    """The format of a file by its first bytes."""

    def read() -> bytes:
        with fs.open(path, "rb") as file:
            return file.read(4)

    return MAGIC.get(retried(read, name, Part("its first bytes")))


def _formats_of(fs: Any, paths: Sequence[str], prefix: int, url: str) -> list[str | None]:
    """The format of each file, None for what is passed over: `_temporary` and other formats."""

    def format_of(path: str) -> str | None:
        if any(part.startswith("_") for part in path[prefix:].split("/")):
            return None
        return _format_of(path) or _content_of(fs, path, url)

    known = [path for path in paths if _format_of(path)]
    if len(known) == len(paths):
        return list(map(format_of, paths))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(format_of, paths))
