"""Input objects as plain values."""

from typing import Any


def values_of(value: Any) -> Any:
    """Convert objects of input classes to dicts by field name, recursively.

    Replaces `strawberry.asdict`, which copies every value and so takes longer than the rest of a
    small operation.
    """
    if value.__class__ is list:
        return [values_of(item) for item in value]
    if hasattr(value.__class__, "__dataclass_fields__"):
        return {name: values_of(item) for name, item in vars(value).items()}
    return value
