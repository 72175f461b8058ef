"""Device filters in SQL. Apart from booleans, the SQL text does not depend on the values."""

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    false,
    func,
    not_,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.orm import InstrumentedAttribute

from db.devices.search import has_words, search_values
from db.tables.devices import DeviceRow, MeasurementTypeRow, OwnerRow, PlaceRow
from domain.access.caller import Scope
from domain.devices.inputs import DeviceFilter
from domain.names import name_key


class Presence(Enum):
    """The part of a value that decides the SQL text.

    An enum, because as dictionary keys booleans are equal to numbers.
    """

    GIVEN = auto()
    TRUE = auto()
    FALSE = auto()


Shape = tuple[tuple[str, Presence], ...]
Conditions = dict[str, Callable[[BindParameter[Any]], ColumnElement[bool]]]

SEARCH = "search"


def filter_values(scope: Scope, wanted: DeviceFilter) -> dict[str, Any]:
    """Return the values of the filters that are set, by parameter name."""
    values: dict[str, Any] = {
        "of_owner": scope.owner_id,
        "of_device": scope.device_id,
        "owner": wanted.owner,
        "place": wanted.place,
        "type": wanted.measurement_type,
        "model": wanted.sensor_model,
        "state": wanted.state,
        "awaits_approval": wanted.awaits_approval,
        "in_sync": wanted.in_sync,
        "online": wanted.online,
        SEARCH: wanted.search or None,
    }
    values = {name: value for name, value in values.items() if value is not None}
    for name in NAMES.keys() & values.keys():
        values[name] = name_key(values[name])
    if wanted.search:
        values |= search_values(wanted.search)
    return values


def shape_of(values: Mapping[str, Any]) -> Shape:
    """Return the shape of a filter. Filters of the same shape have the same SQL text."""
    return tuple([(name, _presence(value)) for name, value in values.items()])


def matching(shape: Shape, values: Mapping[str, Any] | None = None) -> Select[DeviceRow]:
    """Select the devices that match all conditions of a shape.

    `values`: the parameters. Without them, they are passed when the statement is executed.
    """
    bound = values or {}

    def parameter(name: str) -> BindParameter[Any]:
        value = {"value": bound[name]} if name in bound else {}
        return bindparam(name, type_=TYPES.get(name, Text), **value)

    filters = dict(shape)
    conditions = [make(parameter(name)) for name, make in EQUAL.items() if name in filters]
    conditions += [
        and_(column) if filters[name] is Presence.TRUE else not_(column)
        for name, column in FLAGS.items()
        if name in filters
    ]
    if SEARCH in filters:
        terms = [make(parameter(name)) for name, make in SEARCH_TERMS.items() if name in filters]
        conditions.append(or_(*terms) if terms else false())
    return select(DeviceRow).where(*conditions)


def _presence(value: Any) -> Presence:
    if isinstance(value, bool):
        return Presence.TRUE if value else Presence.FALSE
    return Presence.GIVEN


def _named(
    table: Any, column: InstrumentedAttribute[int]
) -> Callable[[BindParameter[Any]], ColumnElement[bool]]:
    return lambda key: column.in_(select(table.id).where(table.name_key == key))


NAMES: Conditions = {
    "owner": _named(OwnerRow, DeviceRow.owner_id),
    "place": _named(PlaceRow, DeviceRow.place_id),
    "type": _named(MeasurementTypeRow, DeviceRow.measurement_type_id),
}
EQUAL: Conditions = {
    "of_owner": lambda owner: DeviceRow.owner_id == owner,
    "of_device": lambda device: DeviceRow.id == device,
    **NAMES,
    "model": lambda model: func.lower(DeviceRow.sensor_model) == func.lower(model),
    "state": lambda state: DeviceRow.state == state,
}
# As written in the partial indexes. `IS TRUE` would not match them.
FLAGS: dict[str, InstrumentedAttribute[bool]] = {
    "awaits_approval": DeviceRow.awaits_approval,
    "in_sync": DeviceRow.synced,
    "online": DeviceRow.online,
}
SEARCH_TERMS: Conditions = {"words": has_words, "of_mac": lambda device: DeviceRow.id == device}
TYPES: dict[str, Any] = {"of_owner": Integer, "words": TSQUERY}
