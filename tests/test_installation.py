"""Where compiled code is kept, above all where nothing can be written, and what is said of it."""

from __future__ import annotations

import gc
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from numba import TypingError
from numba.core import event

from dask_kmeans.kernels import compiled

ROOT = Path(__file__).parent.parent
DATA = ROOT / "examples" / "data" / "xclara.npy"
NOBODY = 65534

AS_NOBODY = [
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
    # It may read whatever folder the interpreter is in, and write nowhere.
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
]  # fmt: skip

PYTHON_FIT = f"""
import logging, numpy as np
logging.basicConfig(level=logging.INFO)
import dask_kmeans
from dask_kmeans import KMeans
print(dask_kmeans.__file__)
print(KMeans(3, random_state=0).fit(np.load({str(DATA)!r})).inertia_)
"""


def environment(**others):
    kept = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "TMPDIR", "PYTHONPATH")
    own = {name: value for name, value in os.environ.items() if name not in kept}
    return own | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | others


def run(arguments, cwd, prefix=(), **others):
    done = subprocess.run(
        [*prefix, sys.executable, *arguments], cwd=cwd, env=environment(**others),
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


def code_in(folder):
    return sorted(path.name for path in Path(folder).rglob("*.nbi"))


@pytest.fixture
def locked(tmp_path):
    """A copy of the package in which nobody can write, not even root."""
    copy = tmp_path / "site" / "dask_kmeans"
    shutil.copytree(ROOT / "dask_kmeans", copy, ignore=shutil.ignore_patterns("__pycache__"))
    for folder, _, _ in list(os.walk(copy)):
        (Path(folder) / "__pycache__").touch()  # a file, where a folder would be made
    return copy.parent


PLACE = """
from dask_kmeans.kernels import compiled
compiled.say_compiling()
compiled.say_compiling()
print(compiled.USUAL, compiled.PLACE)
"""


def place(site, tmp_path, **others):
    others = {
        "HOME": "/proc/none",
        "TMPDIR": str(tmp_path / "tmp"),
        "PYTHONPATH": str(site),
    } | others
    (tmp_path / "tmp").mkdir(exist_ok=True)
    done = run(["-c", PLACE], tmp_path, **others)
    usual, folder = done.stdout.strip().split(" ", 1)
    return usual == "True", folder, done.stderr


def test_code_goes_to_a_private_folder_where_there_is_no_other(locked, tmp_path):
    usual, folder, said = place(locked, tmp_path)
    private = tmp_path / "tmp" / f"dask-kmeans-{os.getuid()}"
    assert not usual
    assert Path(folder).is_relative_to(private)
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert said.count("set the environment variable NUMBA_CACHE_DIR") == 1
    assert str(private) in said


def test_a_folder_of_the_users_choice_is_used(locked, tmp_path):
    chosen = tmp_path / "chosen"
    usual, folder, said = place(locked, tmp_path, NUMBA_CACHE_DIR=str(chosen))
    assert usual
    assert said == ""
    assert Path(folder).is_relative_to(chosen)
    assert not list((tmp_path / "tmp").iterdir())


def test_a_home_will_do(locked, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    usual, folder, said = place(locked, tmp_path, HOME=str(home))
    assert (usual, said) == (True, "")
    assert Path(folder).is_relative_to(home)


@pytest.mark.parametrize("trap", ["a link", "open to others", "a file"])
def test_a_folder_that_others_could_have_filled_is_not_used(locked, tmp_path, trap):
    (tmp_path / "tmp").mkdir()
    private = tmp_path / "tmp" / f"dask-kmeans-{os.getuid()}"
    if trap == "a link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        private.symlink_to(tmp_path / "theirs")
    elif trap == "a file":
        private.touch(0o600)
    else:
        private.mkdir()
        private.chmod(0o770)
    usual, folder, said = place(locked, tmp_path)
    assert (usual, folder) == (False, "None")
    assert "every process compiles them anew" in said


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives away")
def test_a_folder_of_another_user_is_not_used(locked, tmp_path):
    private = tmp_path / "tmp" / "dask-kmeans-0"
    private.mkdir(parents=True)
    private.chmod(0o700)
    os.chown(private, NOBODY, NOBODY)
    assert place(locked, tmp_path)[1] == "None"


FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
"""


def test_a_disk_that_is_full_is_no_place(locked, tmp_path):
    """No file may become large, which stands for a full disk: empty ones can be made."""
    (tmp_path / "home").mkdir()
    done = run(
        ["-c", FULL + PLACE], tmp_path, HOME=str(tmp_path / "home"), PYTHONPATH=str(locked),
        TMPDIR=str(tmp_path),
    )  # fmt: skip
    assert done.stdout.strip() == "False None"


def test_settings_of_others_are_left_alone():
    import numba

    before = numba.config.CACHE_DIR
    compiled.compiled(lambda x: x)
    assert before == numba.config.CACHE_DIR


SAY = """
import logging
logging.basicConfig(level=logging.INFO, format="%(message)s")
from dask_kmeans.kernels import compiled, say_if_not_compiled
say_if_not_compiled()
print(compiled.PLACE)
"""


def test_a_fit_elsewhere_says_that_this_machine_has_no_code(tmp_path):
    """Nothing is compiled here: it is the empty cache that is told of, and only that."""
    done = run(["-c", SAY], tmp_path, NUMBA_CACHE_DIR=str(tmp_path))
    assert done.stderr == "compiling kernels for this machine, once (5 to 20 s)\n"
    (Path(done.stdout.strip()) / "assign.nbi").touch()
    assert run(["-c", SAY], tmp_path, NUMBA_CACHE_DIR=str(tmp_path)).stderr == ""


def test_another_version_of_any_kernel_has_its_own_code(locked, tmp_path):
    """numba alone would look at the file of a function, not at those that it is made from."""
    before = place(locked, tmp_path)[1]
    assert place(locked, tmp_path)[1] == before
    with (locked / "dask_kmeans" / "kernels" / "emitter.py").open("a") as file:
        file.write("# another version\n")
    assert place(locked, tmp_path)[1] != before


def test_no_garbage_is_collected_while_a_kernel_is_compiled():
    """And it is afterwards, also where compiling fails."""

    def kernel(x):
        return x + "no number"

    class Watching(event.Listener):
        def on_start(self, event):
            seen.append(gc.isenabled())

        def on_end(self, event):
            pass

    seen = []
    kernel.__module__ = compiled.__name__
    with event.install_listener("numba:run_pass", Watching()), pytest.raises(TypingError):
        compiled.compiled(kernel)(1)
    assert set(seen) == {False}
    assert gc.isenabled()


MOST_COMPILED = 12
"""Functions that a small fit compiles, at most: each costs the first one 0.1 to 1 s."""


@pytest.mark.slow
def test_compiling_is_said_once_before_the_first_iteration(tmp_path):
    command = ["-m", "dask_kmeans", "fit", str(DATA), "-k", "3", "--model", "m.zarr", "--overwrite"]
    cold = run(command, tmp_path, NUMBA_CACHE_DIR=str(tmp_path)).stderr.splitlines()
    assert sum("compiling" in line for line in cold) == 1
    said = next(n for n, line in enumerate(cold) if "compiling kernels for this machine" in line)
    assert said < next(n for n, line in enumerate(cold) if " iteration 1:" in line)
    assert len(code_in(tmp_path)) <= MOST_COMPILED, code_in(tmp_path)
    assert "compiling" not in run(command, tmp_path, NUMBA_CACHE_DIR=str(tmp_path)).stderr


@pytest.fixture(scope="module")
def read_only_site(tmp_path_factory):
    """The wheel, installed where nothing can be written."""
    folder = tmp_path_factory.mktemp("wheel")
    for command in (
        ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT],
        ["install", "--quiet", "--no-deps", "--no-compile", "--target", folder / "site"],
    ):
        if command[0] == "install":
            (wheel,) = folder.glob("*.whl")
            command.append(wheel)
        subprocess.run([sys.executable, "-m", "pip", *map(str, command)], check=True)
    site = folder / "site"
    for path in [site, *site.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield site
    for path in [site, *site.rglob("*")]:
        path.chmod(0o755)


@pytest.mark.slow
def test_a_read_only_wheel_fits_for_a_user_without_a_home(read_only_site, tmp_path_factory):
    """From Python and from the shell; the second time nothing is compiled."""
    prefix = AS_NOBODY if os.getuid() == 0 else []
    if prefix and shutil.which("setpriv") is None:
        pytest.skip("root can write anywhere, and setpriv is not here to become another user")
    work = tmp_path_factory.mktemp("work")
    for folder in (work, work / "tmp"):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
    others = {
        "HOME": "/proc/none", "TMPDIR": str(work / "tmp"), "PYTHONPATH": str(read_only_site),
    }  # fmt: skip
    python = run(["-c", PYTHON_FIT], work, prefix, **others)
    file, inertia = python.stdout.split()
    assert Path(file).is_relative_to(read_only_site)
    assert inertia == "611605.880693389"
    assert python.stderr.count("set the environment variable NUMBA_CACHE_DIR") == 1
    command = ["-m", "dask_kmeans", "fit", str(DATA), "-k", "3", "--model", "m.zarr"]
    command += ["--random-state", "0", "--overwrite"]
    for _ in range(2):
        shell = run(command, work, prefix, **others)
        assert "inertia 611605.880693389" in shell.stdout
    assert "compil" not in shell.stderr
    assert code_in(work / "tmp")
    assert code_in(read_only_site) == []
    if prefix:
        assert (work / "m.zarr").stat().st_uid == NOBODY
