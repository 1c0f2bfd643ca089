"""Which real logs are known, and how is each view of them named to pycjm?

A view is one way to read a log: which columns are the case, the activity and the time. The numbers of each view were
computed by others' readers and lie in ``truths/<log>.json``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

XES = {"case": "case:concept:name", "activity": "concept:name", "timestamp": "time:timestamp"}
NAME_AND_LIFECYCLE = {**XES, "activity": ["concept:name", "lifecycle:transition"]}
CALLS = {"activity": "Operation", "timestamp_format": "%d.%m.%y %H:%M"}
SHOP = {"activity": "event", "timestamp": "timestamp"}


@dataclass(frozen=True, eq=False)
class View:
    """One view of one log.

    Attributes
    ----------
    log, name : str
        Where its truth is found.
    options : dict
        Arguments of ``pycjm.scan``.
    """

    log: str
    name: str
    options: dict[str, Any] = field(default_factory=dict)

    def truth(self, shared_data: Path) -> dict[str, Any]:
        """What is known of the view."""
        return self._document(shared_data)["views"][self.name]

    def path(self, shared_data: Path) -> Path:
        """The original file."""
        return shared_data / self._document(shared_data)["file"]

    def arguments(self) -> list[str]:
        """The options as a shell has them."""
        given = []
        for option, value in self.options.items():
            for item in value if isinstance(value, (list, tuple)) else [value]:
                given += ["--" + option.replace("_", "-"), item]
        return given

    def _document(self, shared_data: Path) -> dict[str, Any]:
        return json.loads((shared_data / "truths" / f"{self.log}.json").read_text(encoding="utf-8"))

    def __str__(self) -> str:
        return f"{self.log}-{self.name}"


VIEWS = [
    View("bpic2012", "all", XES),
    View("bpic2012", "complete_only", {**XES, "lifecycle": "complete"}),
    View("bpic2012", "name_lifecycle", {**NAME_AND_LIFECYCLE, "joiner": "+"}),
    View("bpic2013_incidents", "all", XES),
    View("bpic2013_incidents", "name_lifecycle", NAME_AND_LIFECYCLE),
    View("sepsis", "all", XES),
    View("bpic2020_domestic", "all", XES),
    View("receipt", "all", XES),
    View("receipt_parquet", "all", XES),
    View("callcenter", "service_start", {**CALLS, "case": "Service ID", "timestamp": "Start Date"}),
    View("callcenter", "customer_start", {**CALLS, "case": "Customer ID", "timestamp": "Start Date"}),
    View("callcenter", "service_end", {**CALLS, "case": "Service ID", "timestamp": "End Date"}),
    View(
        "completejourney",
        "all",
        {
            "case": "household_id",
            "activity": "department",
            "timestamp": "transaction_timestamp",
            "on_null": "drop",
        },
    ),
    View(
        "bpic2016_complaints",
        "all",
        {
            "case": "CustomerID",
            "activity": "ComplaintTheme_EN",
            "timestamp": "ContactDate",
            "delimiter": ";",
            "encoding": "latin-1",
        },
    ),
    View("retentioneering_ecom", "session", {**SHOP, "case": "session_id"}),
    View("retentioneering_ecom", "user", {**SHOP, "case": "user_id"}),
    View("git_polars", "file_lifecycle", {"case": "path", "activity": "status", "timestamp": "author_time"}),
    View("git_polars", "contributor_journey", {"case": "author_id", "activity": "top_dir", "timestamp": "author_time"}),
]
"""Every view that the truths hold."""
