"""Public functions describe their parameters and what they raise.

Ruff sees that there is a docstring, and nothing of its sections. A command is described by the help
of its options, of which its docstring is the beginning, and the functions that build programs from
sentences by the docstring of their package.

pydoclint 0.12 cannot replace this: it demands every parameter of every function or none, and takes
`bad_input` in `raise bad_input(...)` for the type of the exception. Over both packages, with the
options that come closest to these rules, it reports 2,000 violations, and one of them is a fault.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from smolrgpt_core.cli.application import app

ROOT = Path(__file__).resolve().parents[2]
MANY = 3
"""So many parameters need a section."""

ELSEWHERE = re.compile(r"(\b[Aa]s (in )?|\b[Ss]ee )`|^As the ")
"""The docstring refers to another one, such as that of the protocol."""

FOLDERS = sorted(
    path
    for package in ("smolrgpt_core", "smolrgpt_ros")
    for path in (ROOT / package, *(ROOT / package).iterdir())
    if path.is_dir() and path.name != "__pycache__" and next(path.glob("*.py"), None)
)


COMMANDS = {
    command.callback.__name__
    for group in (app, *(group.typer_instance for group in app.registered_groups))
    if group is not None
    for command in group.registered_commands
    if command.callback is not None
}

SHAPE = re.compile(r"\((\.\.\.|[A-Z]|([a-z]+|\d+),)")
"""Shapes are written (B, T, D), (4, H, W), (..., D) or (outputs,)."""


def public_functions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            if isinstance(node, ast.FunctionDef):
                yield node
            else:
                yield from public_functions(node.body)


def parameters(function: ast.FunctionDef) -> list[str]:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [item.arg for item in every if item.arg not in ("self", "cls")]


def misnamed(function: ast.FunctionDef, text: str) -> bool:
    """Whether the section describes other parameters than the function has."""
    section = re.search(r"^Args:\n((?: .*\n|\n)+)", f"{text}\n", re.MULTILINE)
    if section is None:
        return False
    names = ", ".join(re.findall(r"^    (\S[^:]*):", section[1], re.MULTILINE)).split(", ")
    starred = [item.arg for item in (function.args.vararg, function.args.kwarg) if item]
    return sorted(name.lstrip("*") for name in names) != sorted([*parameters(function), *starred])


def raises(node: ast.AST) -> bool:
    """Whether it raises an exception by itself, outside of `try`."""
    if isinstance(node, ast.Raise):
        return node.exc is not None and "NotImplementedError" not in ast.unparse(node.exc)
    children = node.orelse if isinstance(node, ast.Try) else ast.iter_child_nodes(node)
    inner = (ast.FunctionDef, ast.Lambda, ast.ClassDef)
    return any(raises(child) for child in children if not isinstance(child, inner))


def lacking(function: ast.FunctionDef) -> list[str]:
    text = ast.get_docstring(function) or ""
    if not text or ELSEWHERE.search(text):
        return []  # ruff demands a docstring
    sections = []
    if len(parameters(function)) >= MANY and "Args:" not in text:
        sections.append("Args")
    if misnamed(function, text):
        sections.append("Args of its own parameters")
    if raises(function) and "raise" not in text.lower():
        sections.append("Raises")
    return sections


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_parameters_and_exceptions_are_described(folder: Path) -> None:
    files = folder.glob("*.py") if folder.parent == ROOT else folder.rglob("*.py")
    found = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name} lacks {section}"
        for path in sorted(files)
        if "builders" not in path.parts
        for function in public_functions(ast.parse(path.read_text(encoding="utf-8")).body)
        if "cli" not in path.parts or function.name not in COMMANDS
        for section in lacking(function)
    ]
    assert not found, "\n".join(found)


def is_array(annotation: ast.expr | None) -> bool:
    """Whether it is a tensor or an array; checkpoints and mappings hold those of many shapes."""
    text = "" if annotation is None else ast.unparse(annotation)
    return bool(re.search("Tensor|NDArray", text)) and not re.search("dict|Mapping|TypeIs", text)


def lacks_shape(function: ast.FunctionDef) -> bool:
    """Whether it takes or returns tensors, and its docstring states no shape."""
    arguments = [*function.args.args, *function.args.kwonlyargs]
    arrays = [function.returns, *(item.annotation for item in arguments)]
    text = ast.get_docstring(function) or ""
    return any(map(is_array, arrays)) and not (SHAPE.search(text) or ELSEWHERE.search(text))


@pytest.mark.parametrize("folder", ["inference", "kernels", "model"])
def test_shapes_of_tensors_are_stated(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name} states no shape"
        for path in sorted((ROOT / "smolrgpt_core" / folder).rglob("*.py"))
        for function in public_functions(ast.parse(path.read_text(encoding="utf-8")).body)
        if lacks_shape(function)
    ]
    assert not found, "\n".join(found)


def test_what_states_no_shape_is_found() -> None:
    source = '''
def without(states: torch.Tensor) -> None:
    """Of states."""

def returned() -> NDArray[np.float32]:
    """Numbers."""

def stated(states: torch.Tensor) -> torch.Tensor:
    """States (B, T, D) as (..., D)."""

def of_many(weights: dict[str, torch.Tensor]) -> int:
    """How many there are."""
'''
    functions = list(public_functions(ast.parse(source).body))
    assert [lacks_shape(function) for function in functions] == [True, True, False, False]


def test_what_lacks_a_section_is_found() -> None:
    source = '''
def undocumented(a, b, c):
    """Add."""
    if c:
        raise ValueError(c)

def documented(a, b, c):
    """As `undocumented`."""
    raise ValueError(c)

def renamed(a, b, *rest):
    """Add.

    Args:
        a, c: to add.
        rest: also.
    """

class Public:
    def _private(self, a, b, c):
        raise ValueError(c)
'''
    functions = list(public_functions(ast.parse(source).body))
    assert [lacking(function) for function in functions] == [
        ["Args", "Raises"],
        [],
        ["Args of its own parameters"],
    ]
