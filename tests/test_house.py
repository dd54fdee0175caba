"""The repository keeps its own promises: names, weight of imports, floors, sizes and words."""

import ast
import json
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import cgrseg
from cgrseg.config import PRESETS
from cgrseg.recipes import read_recipe

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try)


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def functions_of(file: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    docstring = ast.get_docstring(function, clean=False)
    return function.end_lineno - function.lineno + 1 - (docstring.count("\n") + 1 if docstring else 0)


def nesting(node: ast.AST, depth: int = 0) -> int:
    """Depth of blocks in blocks; an elif is no deeper than its if."""
    deepest = depth
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        deepest = max(deepest, nesting(child, depth + (isinstance(child, BLOCKS) and not is_elif)))
    return deepest


def modules_after(statement: str) -> set[str]:
    """What a fresh Python has imported after a statement."""
    report = "import json, sys; print(json.dumps(sorted(sys.modules)))"
    command = [sys.executable, "-c", f"{statement}\n{report}"]
    return set(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]))


def test_the_public_names_are_these():
    assert cgrseg.__all__ == [
        "BenchmarkConfig",
        "CGRSegError",
        "CheckpointError",
        "DatasetError",
        "Evaluation",
        "ExportError",
        "Failure",
        "FetchError",
        "ImageError",
        "MissingExtra",
        "ModelConfig",
        "Recipe",
        "RecipeError",
        "RunStopped",
        "Segmentation",
        "Segmenter",
        "TooLargeError",
        "TrainingError",
        "benchmark",
        "build_model",
        "evaluate",
        "export",
        "load",
        "open_dataset",
        "read_recipe",
        "train",
    ]


@pytest.mark.parametrize("name", cgrseg.__all__)
def test_each_public_name_is_documented_and_comes_from_its_module(name):
    thing = getattr(cgrseg, name)

    assert thing.__doc__
    assert thing.__module__.startswith("cgrseg.")


def test_type_checkers_see_the_names_that_python_finds():
    tree = ast.parse((ROOT / "src/cgrseg/__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    homes = {alias.name: node.module for node in imports for alias in node.names if node.module.startswith("cgrseg.")}

    assert sorted(homes) == cgrseg.__all__
    for name, home in homes.items():
        assert getattr(import_module(home), name) is getattr(cgrseg, name)


def test_an_unknown_name_is_an_error_that_lists_the_known_ones():
    with pytest.raises(AttributeError, match=r"'segment'; its names are .*load"):
        cgrseg.segment  # noqa: B018


HELP = "from click.testing import CliRunner; from cgrseg.cli import commands; CliRunner().invoke(commands, {})"


@pytest.mark.parametrize(
    "statement",
    ["import cgrseg", HELP.format(["--help"]), HELP.format(["predict", "--help"]), HELP.format(["serve", "--help"])],
)
def test_starting_up_leaves_the_heavy_packages_out(statement):
    loaded = modules_after(statement)

    assert "cgrseg" in loaded
    assert not loaded & {"torch", "numba", "cv2", "huggingface_hub", "safetensors", "fastapi", "uvicorn"}


def test_the_floors_hold():
    lint = shutil.which("lint-imports", path=Path(sys.executable).parent)
    result = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout


def test_there_are_recipes():
    assert RECIPES


@pytest.mark.parametrize("recipe", RECIPES, ids=name_of)
def test_each_recipe_parses_and_says_how_to_run_it(recipe):
    text = recipe.read_text(encoding="utf-8")

    read_recipe(recipe)

    assert f"# cgrseg train recipes/{recipe.name} --data " in text


def test_each_preset_parses(tmp_path):
    for preset in PRESETS:
        file = tmp_path / f"{preset}.yaml"
        file.write_text(f"model: {{preset: {preset}}}", encoding="utf-8")
        read_recipe(file)


def test_files_stay_short():
    lines = {name_of(file): len(file.read_text(encoding="utf-8").splitlines()) for file in SOURCES + TESTS}

    assert not {name: count for name, count in lines.items() if count > (300 if name.startswith("src") else 400)}


def test_functions_stay_small():
    functions = [(name_of(file), node) for file in SOURCES + TESTS for node in functions_of(file)]

    assert not [(file, node.name) for file, node in functions if lines_of(node) > 40]
    assert not [(file, node.name) for file, node in functions if nesting(node) > 3]
    assert not [(file, node.name) for file, node in functions if node.name == "forward" and lines_of(node) > 15]


def test_the_library_is_quiet_and_evaluates_no_text():
    trees = {name_of(file): ast.walk(ast.parse(file.read_text(encoding="utf-8"))) for file in SOURCES}
    calls = [(file, node.func) for file, tree in trees.items() for node in tree if isinstance(node, ast.Call)]

    assert not [file for file, call in calls if isinstance(call, ast.Name) and call.id in {"print", "eval", "exec"}]


def test_each_module_says_what_it_is():
    assert not [name_of(file) for file in SOURCES if not ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))]
    assert not [name_of(file) for file in SOURCES if file.stem in {"utils", "helpers", "misc", "common"}]


def test_shapes_are_visible_to_the_checker():
    assert not [name_of(file) for file in SOURCES if "import annotations" in file.read_text(encoding="utf-8")]


def test_notes_to_oneself_name_an_issue():
    note = re.compile(r"#.*\b(TODO|FIXME|HACK)\b(?! \(#\d+\))")

    assert not [name_of(file) for file in SOURCES if note.search(file.read_text(encoding="utf-8"))]
