"""What holds of the package as a whole: who imports whom, what is public, what the README shows."""

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "dask_kmeans"

ORDER = [
    ["buffer_pool", "checks", "palette", "parameters"],
    ["kernels"],
    ["blockwise"],
    ["planning"],
    ["memory"],
    ["read"],
    ["capacity", "survey"],
    ["labels", "sample", "statistics"],
    ["centers"],
    ["state"],
    ["metrics", "seed", "step"],
    ["accelerate", "predict", "progress", "result", "start"],
    ["checkpoint_schedule", "rows"],
    ["fit"],
    ["levels", "stream", "write"],
    ["interop", "pages", "plot"],
    ["describe", "fit_attributes"],
    ["fit_parameters", "fitted"],
    ["bisecting"],
    ["estimator"],
    ["xarray"],
    ["sweeps"],
    ["cli"],
]
"""The parts of the package: each imports from those above it, and from nothing below."""


def modules():
    """Dotted name below the package, and syntax tree, of each module."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        yield name, path, ast.parse(path.read_text())


def imports(path, tree):
    """Absolute names of all that a module imports, inside functions too."""
    package = ["dask_kmeans", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *(node.module or "").split(".")]).strip(".")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def part_of(name):
    """The part that a module below the package belongs to."""
    return name.split(".")[0]


def test_every_part_has_its_place():
    found = {part_of(name) for name, *_ in modules()} - {"", "__main__"}
    assert found == {part for parts in ORDER for part in parts}


def test_imports_run_one_way():
    level = {part: number for number, parts in enumerate(ORDER) for part in parts}
    wrong = []
    for name, path, tree in modules():
        if name in ("", "__main__"):  # the front door opens on everything
            continue
        for imported in imports(path, tree):
            package, _, rest = imported.partition(".")
            if package != "dask_kmeans" or part_of(rest) not in level:
                continue
            own, other = part_of(name), part_of(rest)
            if own != other and level[other] >= level[own]:
                wrong.append(f"{name} imports {imported}")
    assert wrong == []


def test_no_part_imports_in_circles():
    """Also inside a part: a module that imports another is not imported by it."""
    graph = {}
    names = {name for name, *_ in modules()}
    for name, path, tree in modules():
        if path.name == "__init__.py":
            continue
        below = {
            imported.removeprefix("dask_kmeans.")
            for imported in imports(path, tree)
            if imported.startswith("dask_kmeans.")
        }
        graph[name] = {
            other for other in names if other != name and any(
                found == other or found.rpartition(".")[0] == other for found in below
            )
        }  # fmt: skip

    def reaches(start, goal, seen=()):
        return any(
            other == goal or (other not in seen and reaches(other, goal, (*seen, other)))
            for other in graph.get(start, ())
        )

    assert [name for name in graph if reaches(name, name)] == []


def test_kernels_know_no_dask():
    for name, path, tree in modules():
        if part_of(name) == "kernels":
            libraries = {imported.split(".")[0] for imported in imports(path, tree)}
            assert not libraries & {"dask", "distributed"}, name


def decorator_names(function):
    """Names of what decorates a function, called or not."""
    for decorator in function.decorator_list:
        named = decorator.func if isinstance(decorator, ast.Call) else decorator
        yield named.id if isinstance(named, ast.Name) else None


def test_python_calls_no_internal_function_of_the_kernels():
    """They have no entry for Python, which would crash."""
    functions = [
        (function, set(decorator_names(function)))
        for name, _, tree in modules()
        if part_of(name) == "kernels"
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
    ]
    internal = {function.name for function, by in functions if "internal" in by}
    assert {"fill", "move_rows"} < internal
    called = {
        call.func.id
        for function, by in functions
        if not by & {"compiled", "internal", "inlined"}
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
    }
    assert called & internal == set()


HEAVY = (
    "numpy", "numba", "dask", "distributed", "sklearn", "scipy", "pandas", "pyarrow", "xarray",
    "zarr", "fsspec", "matplotlib",
)  # fmt: skip

NOT_FOR_A_FIT = ("distributed", "dask.dataframe", "matplotlib", "s3fs", "polars", "IPython")
"""What a fit from the shell does without that reads a .npy file."""

FIT = f"""
from dask_kmeans.cli import main
try:
    main(["fit", {str(ROOT / "examples/data/xclara.npy")!r}, "-k", "3", "--model", "m.zarr"])
except SystemExit as ended:
    assert ended.code == 0
"""


@pytest.mark.parametrize(
    ("code", "spared"),
    [("import dask_kmeans", HEAVY), ("import dask_kmeans.cli", HEAVY), (FIT, NOT_FOR_A_FIT)],
    ids=["package", "command line", "fit from the shell"],
)
def test_what_is_not_needed_is_not_imported(code, spared, tmp_path):
    said = f"import sys\nprint(sorted(set({spared!r}) & set(sys.modules)))"
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\n{said}"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True,
    )  # fmt: skip
    assert ran.stdout.splitlines()[-1] == "[]"


def test_optional_libraries_are_imported_in_one_file_each():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = {
        re.match(r"[\w-]+", requirement).group().replace("-", "_")
        for requirement in extras["optional-dependencies"]["plot"]
        + extras["optional-dependencies"]["s3"]
        + extras["optional-dependencies"]["hdf5"]
        + extras["optional-dependencies"]["notebook"]
    } - {"dask_kmeans"}
    importers = {}
    for name, path, tree in modules():
        for library in {imported.split(".")[0] for imported in imports(path, tree)} & optional:
            importers.setdefault(library, []).append(name)
    assert {library: names for library, names in importers.items() if len(names) > 1} == {}


def test_no_private_names_of_libraries():
    wrong = []
    for name, path, tree in modules():
        for imported in imports(path, tree):
            parts = imported.split(".")
            if parts[0] in ("dask", "distributed", "sklearn", "zarr", "xarray", "pandas"):
                wrong += [f"{name}: {imported}" for part in parts if re.match(r"_[^_]", part)]
    assert wrong == []


@pytest.mark.parametrize(
    "name", [name for name, path, _ in modules() if "__all__" in path.read_text()]
)
def test_all_is_complete(name):
    """What the module defines for others, and what others import from it. (The order: ruff.)"""
    full_name = f"dask_kmeans.{name}".rstrip(".")
    module = importlib.import_module(full_name)
    assert all(hasattr(module, public) for public in module.__all__)
    defined = {
        node.name
        for node in ast.parse(Path(module.__file__).read_text()).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
    }
    others = {other for other, *_ in modules()}
    taken = {
        imported.rpartition(".")[2]
        for other, path, tree in modules()
        if part_of(other) != part_of(name)
        for imported in imports(path, tree)
        if imported.rpartition(".")[0] == full_name
        and imported.removeprefix("dask_kmeans.") not in others
    }
    assert (defined | taken) - {"__version__"} <= set(module.__all__)


# ------------------------------------------------------------------------------------ the README

README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def clone(tmp_path):
    """A folder that looks like a clone to a command: only the examples are needed."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


def shell(command, folder):
    """Run what the README says, with this interpreter's `dask-kmeans`."""
    command = re.sub(r"(\.venv/bin/)?dask-kmeans(?= )", f"{sys.executable} -m dask_kmeans", command)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip


def test_the_readme_has_its_two_commands():
    """Each a single line, on a machine that has nothing yet."""
    for name in ("run", "test"):
        (block,) = re.findall(rf"<!-- {name} command -->\n```sh\n(.*?)```", README, flags=re.DOTALL)
        assert block.count("\n") == 1
        assert block.startswith("python3 -m venv .venv && .venv/bin/pip install ")


@pytest.mark.slow
def test_the_readmes_run_command_runs(clone):
    """All but its set-up, which `.ci/run` does; twice, as people do."""
    (command,) = [block for block in blocks("sh") if ".venv/bin/dask-kmeans" in block]
    for _ in range(2):
        ran = shell(command.split("&&")[-1], clone)
        assert ran.returncode == 0, ran.stderr
        assert "inertia 611605.8806933" in ran.stdout
    assert len((clone / "xclara-labels.csv").read_text().splitlines()) == 3001


@pytest.mark.slow
def test_the_readmes_shell_runs(clone):
    (commands,) = [block for block in blocks("sh") if block.startswith("dask-kmeans fit")]
    for command in commands.replace("\\\n", " ").splitlines():
        ran = shell(command, clone)
        assert ran.returncode == 0, ran.stderr


def test_the_readmes_python_runs(clone, monkeypatch):
    monkeypatch.chdir(clone)
    namespace = {}
    for block in blocks("python"):
        exec(block, namespace)
    assert namespace["model"].labels_.numblocks == (6,)


def test_the_readmes_options_in_a_file_exist(tmp_path):
    (job,) = blocks("toml")
    (tmp_path / "job.toml").write_text(job)
    ran = shell("dask-kmeans predict --config job.toml --show-config", tmp_path)
    assert ran.returncode == 0, ran.stderr
    shown = tomllib.loads(ran.stdout)["predict"]
    own = tomllib.loads(job)
    own = own["predict"] | {"threads": own["threads"]}
    assert {name: shown[name] for name in own} == own


def test_the_readmes_links_and_options_exist():
    for path in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / path).exists(), path
    commands = "fit", "predict", "sweep", "describe", "export", "inspect"
    help_text = "".join(shell(f"dask-kmeans {name} --help", ROOT).stdout for name in commands)
    for option in set(re.findall(r"`(--[a-z-]+)", README)):
        assert option in help_text, option


def test_contributing_names_what_of_scikit_learns_tests_does_not_apply():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for file, table in (
        ("test_sklearn_suite.py", "DIFFERENT"),
        ("test_estimator_checks.py", "EXPECTED_FAILURES"),
    ):
        tree = ast.parse((ROOT / "tests" / file).read_text())
        (found,) = (
            node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and node.targets[0].id == table
        )
        for name in ast.literal_eval(found):
            assert f"`{name}`" in text
