"""Links that carry their own key (`?signature=...`, `user:password@`): read, and never shown."""

from __future__ import annotations

import http.server
import pickle
import re
import threading
import traceback
from functools import partial

import numpy as np
import pandas as pd
import pytest

from dask_kmeans import KMeans, checks, cli, load_model
from dask_kmeans.checks import shown_url
from dask_kmeans.read import as_points, open_source

X = np.random.default_rng(0).normal(size=(60, 2))
SECRET = "s3cr3t"


class Keeper(http.server.SimpleHTTPRequestHandler):
    """Gives files, in ranges, to those who bring the signature."""

    def send_head(self):
        if f"sig={SECRET}" not in self.path:
            return self.send_error(403)
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        self._range = None if found is None else [int(number) for number in found.groups()]
        try:
            with open(self.translate_path(self.path), "rb") as file:
                self._content = file.read()
        except FileNotFoundError:
            return self.send_error(404)
        if self._range is not None:
            first, last = self._range
            self._content = self._content[first : last + 1]
        self.send_response(200 if self._range is None else 206)
        self.send_header("Content-Length", str(len(self._content)))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        return None

    def do_GET(self):
        self._content = b""
        self.send_head()
        self.wfile.write(self._content)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def link(tmp_path_factory):
    """`link(name)` is the signed link of a file with X in it."""
    folder = tmp_path_factory.mktemp("served")
    frame = pd.DataFrame(X, columns=["a", "b"])
    frame.to_parquet(folder / "x.parquet")
    frame.to_csv(folder / "x.csv", index=False)
    np.save(folder / "x.npy", X)
    (folder / "broken.parquet").write_bytes(b"PAR1 but no more")
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Keeper, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host, port = server.server_address
    yield lambda name: f"http://{host}:{port}/{name}?X-Amz-Date=2026&sig={SECRET}&end=1"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", ["x.parquet", "x.csv", "x.npy"])
def test_a_link_is_known_by_what_stands_before_its_query(link, name):
    source = open_source(link(name))
    labels = KMeans(2, random_state=0).fit(source).labels_.compute()
    np.testing.assert_array_equal(labels, KMeans(2, random_state=0).fit(X).labels_)
    assert SECRET not in source.description + repr(source) + repr(as_points(source))


@pytest.mark.parametrize("name", ["gone.parquet", "broken.parquet", "gone.npy", "gone.csv"])
def test_errors_do_not_show_it(link, name):
    with pytest.raises((OSError, ValueError)) as caught:
        KMeans(2).fit(link(name))
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown.replace(repr(link(name)), "")
    assert SECRET not in str(pickle.loads(pickle.dumps(caught.value)))


def test_a_command_does_not_show_it(link, tmp_path, capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert SECRET not in captured.out + captured.err
        return end.value.code

    model, report = tmp_path / "m.zarr", tmp_path / "r.json"
    fit = ("fit", link("x.parquet"), "-k", 2, "--model", model)
    assert run(*fit, "--report", report) == 0
    assert run("predict", link("x.csv"), "--model", model, "--labels", tmp_path / "l.npy",
               "--report", "-") == 0  # fmt: skip
    assert run("inspect", model) == 0
    assert run("fit", link("gone.parquet"), "-k", 2, "--model", tmp_path / "n", "--debug") == 1
    assert run("fit", link("x.npy"), "-k", 2, "--model", link("x.npy")) == 2
    assert run(*fit, "--overwrite", "--labels", link("l.txt")) == 2
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 4
    assert not any(SECRET.encode() in content for content in written)


def test_models_and_reprs_do_not_show_it(tmp_path):
    """A checkpoint may be behind a link, too."""
    model = KMeans(2, checkpoint=f"memory://state?sig={SECRET}", random_state=0).fit(X)
    model.save(tmp_path / "m.zarr")
    assert SECRET not in repr(model)
    assert SECRET not in str(model._repr_mimebundle_())
    assert SECRET not in repr(load_model(tmp_path / "m.zarr").get_params())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/x.parquet?X-Amz-Signature=s&b=c", "https://h/x.parquet?..."),
        ("https://u:p@h/x.npy", "https://h/x.npy"),
        ("https://token@h/x.npy", "https://h/x.npy"),
        ("s3://KEY:SEC/RET@bucket/x", "s3://bucket/x"),
        ("simplecache::https://h/a?se=1&sig=2", "simplecache::https://h/a?..."),
        ("URL('https://h/x?sig=1') failed.", "URL('https://h/x?...') failed."),
        ("see https://h/x?sig=a'b. Run", "see https://h/x?.... Run"),
        ("abfs://box@store.dfs.core.windows.net/x", "abfs://box@store.dfs.core.windows.net/x"),
        ("s3://bucket/part-?.parquet", "s3://bucket/part-?.parquet"),
        ("s3://bucket/key=1/part-?.parquet", "s3://bucket/key=1/part-?.parquet"),
        ("https://h:80/x/user@y", "https://h:80/x/user@y"),
        ("/a/path?b=c", "/a/path?b=c"),
        ("tcp://127.0.0.1:8786", "tcp://127.0.0.1:8786"),
    ],
)
def test_what_is_shown_of_a_url(url, shown):
    assert shown_url(url) == shown
    assert shown_url(shown) == shown
    assert str(checks.missing_path_error(url)).startswith(f"Nothing exists at {shown}")
