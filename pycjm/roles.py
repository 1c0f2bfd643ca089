"""Which columns are the case, the activity and the timestamp?

The caller says so, or leaves it to a guess from common names. A guess is made only where one column fits; which roles
were guessed is kept, so that it can be shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from . import errors

STANDARD = {"case": "case:concept:name", "activity": "concept:name", "timestamp": "time:timestamp"}
"""The names of the XES standard. One of them decides, whatever else is there."""

COMMON = {
    "case": (
        "case case:concept:name case_id case_key case_no case_number journey journey_id session session_id visit "
        "visit_id trace trace_id customer customer_id user user_id visitor visitor_id client client_id contact_id "
        "person_id patient patient_id member member_id household_id account_id ticket ticket_id incident "
        "incident_id order_id request_id application_id claim_id process_id process_instance_id service_id "
        "entity_id conversation conversation_id"
    ),
    "activity": (
        "activity concept:name activity_name activity_type event event_name event_type event_action touchpoint "
        "touchpoint_name action action_name operation operation_name step step_name stage stage_name status task "
        "task_name interaction interaction_type"
    ),
    "timestamp": (
        "timestamp time:timestamp ts time datetime date event_time event_timestamp event_date event_datetime "
        "event_ts activity_time activity_timestamp touchpoint_time created_at created_on creation_time "
        "occurred_at happened_at recorded_at logged_at complete_timestamp complete_time completion_time "
        "completion_timestamp completed_at complete_date end_time end_timestamp end_date ended_at finished_at "
        "start_timestamp start_time start_date started_at transaction_timestamp transaction_time transaction_date "
        "timestamp_utc visit_time visit_date contact_date"
    ),
}
"""Accepted names, compared without letter case and without separators."""

_SHOWN = ("case", "activity", "timestamp", "start_timestamp", "order_by", "lifecycle")


@dataclass(frozen=True)
class Roles:
    """The columns of a log by what they are.

    Attributes
    ----------
    case, activity : tuple of str
        One column, or several that are joined.
    timestamp, start_timestamp : tuple of str
        One column, or a (date, time) pair; ``start_timestamp`` may be empty.
    order_by : tuple of str
        Columns that order events of the same time.
    lifecycle : tuple of str
        The column that ``lifecycle=`` selects by, if it does.
    guessed : tuple of str
        The names of the roles that were guessed.
    """

    case: tuple[str, ...] = ()
    activity: tuple[str, ...] = ()
    timestamp: tuple[str, ...] = ()
    start_timestamp: tuple[str, ...] = ()
    order_by: tuple[str, ...] = ()
    lifecycle: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """All columns in use, each once, in the order of the roles."""
        named = (*self.case, *self.activity, *self.timestamp, *self.start_timestamp, *self.order_by, *self.lifecycle)
        return list(dict.fromkeys(named))

    @property
    def missing(self) -> list[str]:
        """The roles that have no column yet."""
        return [role for role in STANDARD if not getattr(self, role)]

    def __str__(self) -> str:
        named = {role: getattr(self, role) for role in _SHOWN if getattr(self, role)}
        marks = dict.fromkeys(self.guessed, " (guessed)")
        return ", ".join(f"{role}={' + '.join(names)}{marks.get(role, '')}" for role, names in named.items())


def resolve(roles: Roles, columns: Mapping[str, str], fits: Callable[[str, str], bool]) -> Roles:
    """The roles with every missing one guessed.

    Parameters
    ----------
    roles : Roles
        What the caller named.
    columns : mapping of str to str
        The columns of the log and their types.
    fits : callable
        ``fits(role, column)``: could this column have that role, by its type?

    Returns
    -------
    Roles
        Complete, with ``guessed`` filled in.

    Raises
    ------
    InvalidArgument
        No column fits, or more than one does; the candidates are listed.
    """
    guessed = roles.missing
    taken = set(roles.columns)
    for role in guessed:
        named = _named(role, [name for name in columns if name not in taken])
        found = [name for name in named if fits(role, name)]
        if len(found) != 1:
            held = {name: held_as for held_as in _SHOWN for name in getattr(roles, held_as)}
            spoken_for = {name: held[name] for name in _named(role, list(held))}
            raise _undecided(role, found or named, columns, spoken_for, fitting=bool(found))
        roles = replace(roles, **{role: (found[0],)})
        taken.add(found[0])
    return replace(roles, guessed=tuple(guessed))


def _named(role: str, names: Sequence[str]) -> list[str]:
    """The columns whose name is a common one for the role; a standard name makes the others out of the question."""
    if STANDARD[role] in names:
        return [STANDARD[role]]
    known = {_folded(name) for name in COMMON[role].split()}
    return [name for name in names if _folded(name) in known]


def _folded(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _undecided(
    role: str, found: list[str], columns: Mapping[str, str], spoken_for: Mapping[str, str], *, fitting: bool
) -> errors.InvalidArgument:
    details = {"role": role, "candidates": found, "columns": list(columns)}
    if fitting:
        listed = ", ".join(repr(name) for name in found)
        text = f"more than one column could be the {role}: {listed}. Say which: {role}=..."
    elif found:
        listed = ", ".join(f"{name!r} ({columns[name]})" for name in found)
        hint = " Text needs timestamp_format=, integers need timestamp_unit=." if role == "timestamp" else ""
        text = f"no column of a fitting type has a common name for the {role}; by its name it could be {listed}.{hint}"
    elif spoken_for:
        listed = " and ".join(f"{name!r} is the {held_as} already" for name, held_as in spoken_for.items())
        text = f"no column is left that could be the {role}: {listed}. Say which it is: {role}=..."
    else:
        listed = ", ".join(repr(name) for name in columns) or "none"
        text = f"no column has a common name for the {role}. Say which it is: {role}=...; the columns are {listed}."
    return errors.InvalidArgument(text, details)


def require(roles: Roles, columns: Sequence[str], where: str) -> None:
    """Checks that every column in use is there, exactly once.

    Raises
    ------
    InvalidArgument
        A column is missing (the nearest name is given), or its name occurs twice.
    """
    for name in roles.columns:
        count = columns.count(name)
        if count == 0:
            error = errors.unknown("column", name, list(dict.fromkeys(columns)), {"column": name})
            raise errors.InvalidArgument(f"{where}: {error}", error.details)
        if count > 1:
            raise errors.InvalidArgument(
                f"{where}: {count} columns are named {name!r}, so it is not clear which is meant. Rename one of them.",
                {"column": name, "count": count},
            )


def type_fits(role: str, kind: str, *, text_is_time: bool, integer_is_time: bool) -> bool:
    """Whether a column of this Arrow type, given as text, could have the role.

    Parameters
    ----------
    role : {"case", "activity", "timestamp"}
    kind : str
        An Arrow type as pyarrow or the engine prints it, in any letter case.
    text_is_time : bool
        Text may be a timestamp, since a format is known.
    integer_is_time : bool
        Integers may be a timestamp, since a unit is given.
    """
    kind = kind.casefold()
    nested = any(word in kind for word in ("list", "struct", "map", "union"))
    is_text = not nested and any(word in kind for word in ("utf8", "string", "text"))
    is_integer = re.fullmatch(r"u?int(8|16|32|64)", kind) is not None
    if role == "timestamp":
        is_time = kind.startswith(("timestamp", "date32", "date64"))
        return is_time or (is_text and text_is_time) or (is_integer and integer_is_time)
    if role == "activity":
        return is_text
    coded_integer = kind.startswith("dictionary") and re.search(r"(values=|, ?)u?int(8|16|32|64)", kind) is not None
    return is_text or is_integer or coded_integer or "binary" in kind or "uuid" in kind
