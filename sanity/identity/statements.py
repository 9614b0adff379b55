"""A module's top level, statement by statement: what each binds, uses, and does besides.

What only comments, docstrings, type checkers or a call as a script see is no part of it.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

Chain = tuple[str, ...]
"""The attributes behind a name: ``("nn", "Linear")`` of ``torch.nn.Linear``."""

INERT_CALLS = {"field", "getLogger", "TypeVar", "ParamSpec", "NamedTuple", "namedtuple"}
"""Calls of the standard library that change nothing, by their last name."""

QUIET = {*sys.stdlib_module_names, "sanity", "torch", "numpy", "hydra", "omegaconf"}
"""Packages whose import by itself changes nothing for others."""

HOOKS = (b"__init_subclass__", b"__set_name__", b"metaclass", b"__subclasses__")
"""Where these stand, a class that is made may do anything."""

ENVIRONMENT = "os.environ[...]"
"""What stands among the names that are used where a variable of the environment is read."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Import = ast.Import | ast.ImportFrom


@dataclass(frozen=True)
class Alias:
    """One name that an import binds: ``attribute`` of ``module`` (None: the module itself)."""

    module: str
    level: int
    attribute: str | None


@dataclass
class Statement(ast.NodeVisitor):
    """A statement of the top level, which collects what its nodes refer to as they are visited.

    ``uses`` are names with the attributes that are asked of them, ``imports`` what it imports under
    which name, ``texts`` its string constants; an ``effect`` may do more than bind ``names``.
    """

    text: str
    names: set[str]
    effect: bool
    uses: set[tuple[str, Chain]] = field(default_factory=set)
    imports: defaultdict[str, set[Alias]] = field(default_factory=lambda: defaultdict(set))
    stars: set[Alias] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """``a.b.c`` uses ``b`` and ``c`` of ``a``, and nothing else of it."""
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            inner = inner.value
        if isinstance(inner, ast.Name):
            named = ast.unparse(node).split(".")
            self.uses.add((named[0], tuple(named[1:])))
            if "getenv" in named or named[-2:] == ["environ", "get"]:
                self.uses.add((ENVIRONMENT, ()))
        else:
            self.visit(inner)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """``os.environ["X"]`` where it is read; elsewhere nothing of its own."""
        if isinstance(node.ctx, ast.Load) and ast.unparse(node.value).endswith("environ"):
            self.uses.add((ENVIRONMENT, ()))
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        """A name for itself: anything may be done with it."""
        self.uses.add((ENVIRONMENT if node.id == "getenv" else node.id, ()))

    def visit_Global(self, node: ast.Global) -> None:
        """Names of the top level that a function sets."""
        self.uses |= {(name, ()) for name in node.names}

    def visit_Constant(self, node: ast.Constant) -> None:
        """Texts may name files, and annotations in quotes name classes."""
        if isinstance(node.value, str):
            self.texts.add(node.value)
            if node.value.isidentifier():
                self.uses.add((node.value, ()))

    def visit_Import(self, node: ast.Import) -> None:
        """``import a.b`` binds ``a``, ``import a.b as c`` binds ``a.b``."""
        for alias in node.names:
            name = alias.name if alias.asname else alias.name.split(".")[0]
            bound = _bound_by(node, alias)
            self.imports[bound] |= {Alias(name, 0, None), Alias(alias.name, 0, None)}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """``from a import b``: an attribute, or a module."""
        module = node.module or ""
        for alias in node.names:
            if alias.name == "*":
                self.stars.add(Alias(module, node.level, None))
            else:
                self.imports[_bound_by(node, alias)].add(Alias(module, node.level, alias.name))


@dataclass
class Module:
    """A module's statements, and which of them bind a name."""

    statements: list[Statement] = field(default_factory=list)

    def binding(self, name: str) -> list[int]:
        """The indices of the statements that bind ``name``."""
        return [n for n, one in enumerate(self.statements) if name in one.names]

    @property
    def stars(self) -> set[Alias]:
        """The modules of which everything is imported."""
        return {alias for one in self.statements for alias in one.stars}


def parse(source: bytes) -> Module:
    """The top level of a module; raises SyntaxError and ValueError for what is no Python."""
    tree = ast.parse(source)
    documented = b"__doc__" in source or b"getdoc" in source
    bare = tree if documented else _Stripped().visit(tree)
    inert = _Inertness(bare, hooked=any(word in source for word in HOOKS))
    return Module([_describe(one, inert) for node in bare.body for one in _split(node)])


class _Stripped(ast.NodeTransformer):
    """Leaves out what does nothing: docstrings, and blocks for type checkers and scripts."""

    def visit_Expr(self, node: ast.Expr) -> ast.stmt | None:
        """Texts that stand for themselves."""
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_If(self, node: ast.If) -> ast.stmt | list[ast.stmt] | None:
        """``if TYPE_CHECKING`` and ``if __name__ == "__main__"``."""
        self.generic_visit(node)
        test = ast.unparse(node.test)
        if test.split(".")[-1] == "TYPE_CHECKING" or test.startswith("__name__ == "):
            return node.orelse or None
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Blocks that are empty then are still blocks."""
        super().generic_visit(node)
        if isinstance(getattr(node, "body", None), list) and not isinstance(node, ast.Module):
            node.body = node.body or [ast.Pass()]  # type: ignore[attr-defined]
        return node


def _split(node: ast.stmt) -> list[ast.stmt]:
    """Of imports one statement a name: each counts only where it is used."""
    match node:
        case ast.Import():
            return [ast.Import([alias]) for alias in node.names]
        case ast.ImportFrom():
            return [ast.ImportFrom(node.module, [alias], node.level) for alias in node.names]
    return [node]


def _describe(node: ast.stmt, inert: "_Inertness") -> Statement:
    text = ast.unparse(ast.fix_missing_locations(node))
    found = Statement(text, _bound(node), effect=not inert.is_inert(node))
    found.visit(node)
    return found


def _bound(node: ast.stmt) -> set[str]:
    """The names that a statement binds at the top level."""
    names: set[str] = set()
    stack: list[ast.AST] = [node]
    while stack:
        one = stack.pop()
        if isinstance(one, Definition):
            names.add(one.name)
            continue
        if isinstance(one, Import):
            names |= {_bound_by(one, alias) for alias in one.names if alias.name != "*"}
        if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load):
            names.add(one.id)
        stack += ast.iter_child_nodes(one)
    return names


def _bound_by(node: Import, alias: ast.alias) -> str:
    whole = isinstance(node, ast.ImportFrom) or alias.asname is not None
    return (alias.asname or alias.name) if whole else alias.name.split(".")[0]


class _Inertness:
    """Which statements do no more than bind names; in doubt they may."""

    def __init__(self, module: ast.Module, *, hooked: bool) -> None:
        """``hooked``: making a class may do anything, as it may for bases of other own modules."""
        self._hooked = hooked
        self._own = {node.name for node in ast.walk(module) if isinstance(node, Definition)}
        self._foreign: set[str] = set()
        for node in module.body:
            if isinstance(node, Import) and not self.is_inert(node):
                self._foreign |= _bound(node)
            elif isinstance(node, ast.ClassDef) and self._has_foreign_base(node):
                self._foreign.add(node.name)

    def _has_foreign_base(self, node: ast.ClassDef) -> bool:
        return any(ast.unparse(base).split(".")[0] in self._foreign for base in node.bases)

    def is_inert(self, node: ast.stmt) -> bool:
        """Whether nothing but a user of its names can tell whether it is there."""
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                defaults = [*node.args.defaults, *(d for d in node.args.kw_defaults if d)]
                return self._all(defaults) and self._decorated(node.decorator_list)
            case ast.ClassDef():
                hooked = self._hooked or bool(node.keywords) or self._has_foreign_base(node)
                made = self._all(node.bases) and self._decorated(node.decorator_list)
                return not hooked and made and self._block(node.body)
            case ast.Import():
                return all(alias.name.split(".")[0] in QUIET for alias in node.names)
            case ast.ImportFrom():
                quiet = (node.module or "").split(".")[0] in QUIET - {"__future__"}
                return node.level == 0 and quiet and all(one.name != "*" for one in node.names)
            case ast.Assign():
                plain = all(isinstance(target, ast.Name | ast.Tuple) for target in node.targets)
                return plain and self._all([node.value])
            case ast.AnnAssign():
                value = [node.value] if node.value else []
                return isinstance(node.target, ast.Name) and self._all(value)
            case ast.If():
                return self._all([node.test]) and self._block([*node.body, *node.orelse])
            case ast.Try():
                handled = [one for handler in node.handlers for one in handler.body]
                return self._block([*node.body, *handled, *node.orelse, *node.finalbody])
        return isinstance(node, ast.Pass)

    def _block(self, body: Sequence[ast.stmt]) -> bool:
        return all(self.is_inert(one) for one in body)

    def _decorated(self, decorators: Sequence[ast.expr]) -> bool:
        """By what comes from elsewhere, such as ``dataclass``; what is made here may register."""
        roots = {ast.unparse(one).split("(")[0].split(".")[0] for one in decorators}
        known = {"dataclass", "dataclasses", "functools", "cache", "lru_cache", "torch", "typing"}
        known |= {"staticmethod", "classmethod", "property", "abstractmethod", "abc", "override"}
        return roots - self._own <= known and not roots & self._own

    def _all(self, values: Sequence[ast.expr]) -> bool:
        return not any(self._acts(part) for value in values for part in ast.walk(value))

    def _acts(self, node: ast.AST) -> bool:
        """Whether a part of an expression may do more than have a value."""
        if isinstance(node, ast.Call):
            return ast.unparse(node.func).split(".")[-1] not in INERT_CALLS - self._own
        return isinstance(node, ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr)
