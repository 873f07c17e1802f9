"""Formulas over the measures of models, as data: ``log(vae.mse / ae.mse)``.

A name is a model and a measure with a dot between. There are + − * /, numbers, comparisons, and,
or, and log, exp, sqrt, abs, min, max; nothing else, so a formula from a file is safe to evaluate.
"""

import ast
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Measures = Mapping[str, Mapping[str, float | None]]  # model -> measure -> value

_OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "log": math.log,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "abs": abs,
    "min": min,
    "max": max,
}


def names(formula: str) -> tuple[tuple[str, str], ...]:
    """The (model, measure) pairs of a formula, in order; ValueError if it is not one."""
    return tuple(dict.fromkeys(_names(_parsed(formula), formula)))


def evaluate(formula: str, measures: Measures) -> float | None:
    """The value of a formula; None where a measure is missing or the value is not defined."""
    try:
        value = float(_value(_parsed(formula).body, measures))
    except (KeyError, ArithmeticError, ValueError):  # missing, x/0, log of a negative number
        return None
    return value if math.isfinite(value) else None


def _parsed(formula: str) -> ast.Expression:
    try:
        return ast.parse(formula, mode="eval")
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{formula!r} is not a formula: {error}") from None


def _names(node: ast.AST, formula: str) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Attribute(value=ast.Name(id=model), attr=measure):
            yield model, measure
            return
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            for argument in arguments:
                yield from _names(argument, formula)
            return
        case ast.Constant(value=int() | float()) | ast.Expression():
            pass
        case ast.BinOp(op=op) | ast.UnaryOp(op=op) | ast.Compare(ops=[op]) if (
            type(op) in _OPERATORS
        ):
            pass
        case ast.BoolOp() | ast.operator() | ast.unaryop() | ast.cmpop() | ast.boolop():
            pass
        case _:
            raise ValueError(
                f"{formula!r} is not a formula of measures: write model.measure, numbers, + - * / "
                f"and {', '.join(_FUNCTIONS)}"
            )
    for child in ast.iter_child_nodes(node):
        yield from _names(child, formula)


def _value(node: ast.expr, measures: Measures) -> float:
    match node:
        case ast.Attribute(value=ast.Name(id=model), attr=measure):
            found = measures[model][measure]
            if found is None:
                raise KeyError(measure)
            return found
        case ast.Constant(value=number):
            return float(number)  # type: ignore[arg-type]  # names() let only numbers pass
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _FUNCTIONS[name](*(_value(argument, measures) for argument in arguments))
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_value(left, measures), _value(right, measures))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _OPERATORS[type(op)](_value(left, measures), _value(right, measures))
        case ast.UnaryOp(op=op, operand=operand):
            return _OPERATORS[type(op)](_value(operand, measures))
        case ast.BoolOp(op=op, values=parts):
            truths: list[Any] = [_value(part, measures) for part in parts]
            return float(any(truths) if isinstance(op, ast.Or) else all(truths))
        case _:
            raise AssertionError(f"{ast.dump(node)} should have been refused")
