"""A `.pt2` made harmless: torch's own loader unpickles, compiles and evaluates what such a file says.

`torch.export.load` calls `pickle` where the file asks for it, loads shared libraries that it brings,
looks operators up by dotted names from `torch` on, and evaluates shapes and guards as Python. So the
file is read here first, with nothing but `zipfile` and `json`, and written anew with only what
`torch.export.save` writes for a model without code: graphs of ATen operators, weights as raw bytes,
and shapes as arithmetic. What is more than that is refused.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, ZipInfo

from forebay.core.errors import Malformed

SAMPLE_INPUTS = "data/sample_inputs/model.pt"
_MODEL = "models/model.json"
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_PLAIN = re.compile(
    r"archive_format|archive_version|byteorder|version|\.data/(version|serialization_id|alignment)"
    r"|data/weights/weight_\d+|data/constants/tensor_\d+"
)
_OPERATOR = re.compile(
    r"torch\.ops\.aten\.(?!from_file)\w+\.\w+"
    r"|torch\.ops\.higher_order\.(cond|while_loop|wrap_with_set_grad_enabled|wrap_with_autocast)"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|pow|neg|pos|abs|eq|ne|lt|le|gt|ge|and_|or_|not_|getitem)"
    r"|torch\.sym_(int|float|max|min|not|ite|sqrt)|math\.(ceil|floor|sqrt|trunc)"
)
_SYMBOL = re.compile(r"[a-z]+\d+")
_TREE = re.compile(r"builtins\.(tuple|list|dict)|collections\.OrderedDict")
_SUMS = frozenset({
    "Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Pow", "Max", "Min", "Mod", "FloorDiv",
    "PythonMod", "ModularIndexing", "CleanDiv", "CeilDiv", "CeilToInt", "FloorToInt", "TruncToInt",
    "RoundToInt", "ToFloat", "TruncToFloat", "IntTrueDiv", "FloatTrueDiv", "PowByNatural", "FloatPow",
    "Identity", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "And", "Or", "Not", "Equality", "Unequality",
    "StrictLessThan", "LessThan", "StrictGreaterThan", "GreaterThan",
})  # fmt: skip
_KEPT_METADATA = ("stack_trace", "nn_module_stack", "torch_fn")
_HARMLESS = (
    ast.Expression, ast.Constant, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.operator,
    ast.unaryop, ast.boolop, ast.cmpop, ast.Load, ast.keyword, ast.Subscript,
)  # fmt: skip


def clean_copy(source: Path, target: Path) -> None:
    """Write *source* anew into *target*, without anything that could run; raises `Malformed`."""
    try:
        with ZipFile(source) as archive, ZipFile(target, "w") as copy:
            for member in archive.infolist():
                _copy(archive, member, copy)
    except (BadZipFile, json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"{source.name} is no .pt2 as torch.export.save writes it: {error}") from error


def _copy(archive: ZipFile, member: ZipInfo, copy: ZipFile) -> None:
    top, _, name = member.filename.partition("/")
    if name.startswith("extra/"):
        return  # notes of its owner's, which nothing reads
    where = f"{top}/{name}"
    if name == _MODEL:
        copy.writestr(where, json.dumps(_checked_model(json.loads(archive.read(member)))))
    elif name in _CONFIGS:
        copy.writestr(where, json.dumps(_checked_config(json.loads(archive.read(member)))))
    elif name == SAMPLE_INPUTS or _PLAIN.fullmatch(name):
        with archive.open(member) as old, copy.open(where, "w", force_zip64=True) as new:
            shutil.copyfileobj(old, new)
    else:
        raise Malformed(f"the .pt2 brings {name[:80]!r}, which a model without code does not have")


def _checked_config(config: Any) -> Any:
    for name, entry in config["config"].items():
        if entry.get("use_pickle") is not False or not re.fullmatch(
            r"(weight|tensor)_\d+", entry["path_name"]
        ):
            raise Malformed(f"the .pt2 keeps {name[:80]!r} as a pickle, which may run anything; refused")
    return config


def _checked_model(model: Any) -> Any:
    for holder, key, value in list(_walk(model)):
        if key in ("target", "as_operator") and isinstance(value, str):
            _check(_OPERATOR.fullmatch(value), value, "an operator")
        elif key == "expr_str":
            _check(_is_sum(value, _is_symbol), value, "a size")
        elif key == "guards_code":
            for guard in value:
                _check(_is_sum(guard, _is_input), guard, "a guard")
        elif key == "metadata" and isinstance(value, dict):
            holder[key] = {name: value[name] for name in _KEPT_METADATA if name in value}
        elif key in ("in_spec", "out_spec"):
            _check_tree(value)
        elif key in ("as_custom_obj", "custom_obj_values", "treespec_namedtuple_fields") and value:
            raise Malformed(f"the .pt2 has objects of its owner's classes ({key}); refused")
    for symbol in model.get("range_constraints", {}):
        _check(_SYMBOL.fullmatch(symbol), symbol, "a symbol")
    return model


def _walk(node: Any) -> Iterator[tuple[Any, str, Any]]:
    """Every holder, key and value in a document, however deep."""
    items = node.items() if isinstance(node, dict) else ()
    for key, value in items:
        yield node, key, value
        yield from _walk(value)
    if isinstance(node, list):
        for each in node:
            yield from _walk(each)


def _check(fine: object, text: object, what: str) -> None:
    if not fine:
        raise Malformed(f"the .pt2 has {what} that no plain model has, {str(text)[:80]!r}; refused")


def _check_tree(text: str | None) -> None:
    for _, key, value in _walk(json.loads(text) if text else None):
        if key == "type" and value is not None:
            _check(_TREE.fullmatch(str(value)), value, "a structure")


def _is_sum(text: str, is_known: Any) -> bool:
    """Whether *text* is arithmetic on what *is_known* accepts, and nothing else."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError):
        return False
    known = {id(part) for node in ast.walk(tree) if is_known(node) for part in ast.walk(node)}
    return all(id(node) in known or _is_plain(node) for node in ast.walk(tree))


def _is_plain(node: ast.AST) -> bool:
    """Arithmetic, or a call of one of our functions; its arguments are looked at by themselves."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _SUMS
    return isinstance(node, _HARMLESS)


def _is_symbol(node: ast.AST) -> bool:
    """A name like s77, or the name of a function in a call, whose arguments are looked at by themselves."""
    return isinstance(node, ast.Name) and (node.id in _SUMS or _SYMBOL.fullmatch(node.id) is not None)


def _is_input(node: ast.AST) -> bool:
    """L['x'].size()[1], or such a function's name."""
    return _is_symbol(node) or re.fullmatch(r"L(\['\w+'\]|\[\d+\])+\.size\(\)", ast.unparse(node)) is not None
