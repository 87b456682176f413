"""The shape of the code, by its sources: what may import what, and what nobody may do."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = sorted((ROOT / "mediaref_tools" / "commands").glob("*.py"))
CORE = sorted(set((ROOT / "mediaref_tools").rglob("*.py")) - set(COMMANDS))
CONVERTERS = sorted((ROOT / "converters").glob("*.py"))


def module_name(path: Path) -> str:
    """Its name within the package: "media.uri"; of a package's own file, the package's."""
    parts = path.relative_to(ROOT / "mediaref_tools").with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported(path: Path) -> set[str]:
    """Full names of the modules that a file imports anywhere, names of what is taken from them included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", CORE + COMMANDS, ids=module_name)
def test_core_never_imports_a_converter(path: Path) -> None:
    assert not {name for name in imported(path) if "converters" in name.split(".")[:2] and "commands" not in name}


@pytest.mark.parametrize("path", CORE + CONVERTERS, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_library_is_silent_and_knows_no_terminal(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    allowed = path.stem in ("sample", "__main__")
    assert allowed or not {name for name in imported(path) if name.split(".")[0] in ("click", "rich", "logging")}
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert allowed or "print" not in calls


def check_no_cycle(arrows: dict[str, set[str]]) -> None:
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for other in sorted(arrows.get(name, ())):
                visit(other, (*trail, name))
            done.add(name)

    for name in arrows:
        visit(name, ())


def core_arrows() -> dict[str, set[str]]:
    names = {module_name(path) for path in CORE}
    fronts = ("", "__main__")
    arrows = {}
    for path in CORE:
        if module_name(path) not in fronts:
            found = {name.removeprefix("mediaref_tools.") for name in imported(path)}
            arrows[module_name(path)] = found & names - {module_name(path)}
    return arrows


def test_core_has_no_cycles() -> None:
    check_no_cycle(core_arrows())


def test_rooms_have_no_cycles() -> None:
    rooms: dict[str, set[str]] = {}
    for name, others in core_arrows().items():
        room = name.split(".")[0]
        rooms.setdefault(room, set()).update(other.split(".")[0] for other in others)
        rooms[room].discard(room)
    check_no_cycle(rooms)


@pytest.mark.parametrize("path", CORE + COMMANDS + CONVERTERS, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_module_is_small_documented_and_says_what_is_public(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 330
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    if path.stem == "__main__" or (path.stem == "__init__" and len(tree.body) == 1):
        return
    name = f"converters.{path.stem}" if path in CONVERTERS else module_name(path)
    module = importlib.import_module(f"mediaref_tools.{name}" if name else "mediaref_tools")
    public = list(getattr(module, "__all__", ["command"]))
    assert len(public) == len(set(public))  # ruff sorts them
    for name in public:
        assert hasattr(module, name)
    documented = {
        node.name for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node)
    }
    defined = {node.name for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    assert {name for name in public if name in defined} <= documented


def test_time_base_is_touched_in_two_modules_at_most() -> None:
    touching = {
        path.stem
        for path in CORE
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "time_base"
    }
    assert len(touching) <= 2, touching


def test_packages_are_those_of_the_tree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = set(project["tool"]["setuptools"]["packages"])
    moved = {folder: name for name, folder in project["tool"]["setuptools"]["package-dir"].items()}
    found = set()
    for top in ("mediaref_tools", "converters", "schemas"):
        for init in (ROOT / top).rglob("__init__.py"):
            parts = init.parent.relative_to(ROOT).parts
            found.add(".".join((moved.get(parts[0], parts[0]), *parts[1:])))
    assert listed == found


@pytest.mark.parametrize("code", ["import mediaref_tools", "import mediaref_tools.commands"])
def test_importing_costs_next_to_nothing(code: str) -> None:
    heavy = ("av", "numpy", "rich", "pydantic", "pyarrow", "rosbags", "mcap", "h5py", "PIL")
    probe = f"{code}\nimport sys\nprint([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert done.stdout.strip() == "[]"


def test_no_other_package_shadows_ours() -> None:
    assert importlib.import_module("mcap").__file__ != str(ROOT / "converters" / "mcap.py")


@pytest.mark.parametrize("path", CORE + COMMANDS, ids=module_name)
def test_core_names_no_converter_s_module_either(path: Path) -> None:
    """Nor through importlib: converters are found by entry points alone."""
    texts = {
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert not {text for text in texts if text.startswith(("mediaref_tools.converters.", "converters."))}


@pytest.mark.parametrize("path", CORE, ids=module_name)
def test_core_takes_nothing_from_the_package_s_front(path: Path) -> None:
    """`from mediaref_tools import convert` inside of it would be a cycle that the arrows above do not show."""
    fronts = {name for name in imported(path) if name.startswith("mediaref_tools.") and name.count(".") == 1}
    names = {module_name(each).split(".")[0] for each in CORE} | {"commands", "schemas"}
    assert {name.split(".")[1] for name in fronts} <= names


@pytest.mark.parametrize("path", [*CORE, *CONVERTERS], ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_library_writes_to_no_standard_stream(path: Path) -> None:
    streams = {
        node.attr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in {("sys", "stdout"), ("sys", "stderr"), ("sys", "exit"), ("os", "_exit")}
    }
    assert path.stem in ("sample", "__main__", "player") or not streams  # the player draws on a terminal


def test_importing_the_library_imports_no_command_line() -> None:
    probe = (
        "import mediaref_tools, sys; print([name for name in ('click', 'rich', 'av', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert done.stdout.strip() == "[]"
    probe = (
        "import mediaref_tools as m, sys; [getattr(m, name) for name in m.__all__];"
        "print([name for name in ('click', 'rich', 'mediaref_tools.commands') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert done.stdout.strip() == "[]"
