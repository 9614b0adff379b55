"""What PyTorch carries out, operation by operation: below modules and functions, as it happens."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


@dataclass(frozen=True)
class Operation:
    """One, with what it took and gave; ``name`` is PyTorch's own (convolution, addmm, add_)."""

    name: str
    given: Any
    result: Any

    @cached_property
    def inputs(self) -> tuple[Tensor, ...]:
        return tuple(tensors_in(self.given))

    @cached_property
    def outputs(self) -> tuple[Tensor, ...]:
        return tuple(tensors_in(self.result))


class Watcher(TorchDispatchMode):
    """Base of those that are told of every operation while they are entered."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """PyTorch would import its compiler to keep it away, which takes a second."""
        return False

    @abstractmethod
    def note(self, operation: Operation) -> None:
        """It has been carried out."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry it out, and tell."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        self.note(Operation(func._schema.name.split("::")[-1], [args, kwargs], result))
        return result


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in what a function takes or returns."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple | dict):
        items: Iterable[Any] = value.values() if isinstance(value, dict) else value
        for one in items:
            yield from tensors_in(one)
