"""The ages of the last hour: one histogram per minute, which all replicas fill together."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from pymongo import ASCENDING, UpdateOne
from pymongo.collection import Collection

from twin_assets.models.ages import AgeHistogram
from twin_assets.source.client import Document

KEPT = timedelta(hours=1)
# Readers go by the minute; the server only has to clear up some time.
EXPIRY_S = 2 * 3600


class AgeRecords:
    """Histograms beside other records of one collection, told apart by their field `minute`.

    Errors are the driver's: whoever calls translates them.
    """

    def __init__(self, collection: Collection[Document]) -> None:
        self._collection = collection
        self._has_expiry = False

    def addition(self, ages: AgeHistogram, at: datetime) -> UpdateOne:
        """Return the write that adds some ages to their minute, atomically beside rivals."""
        self._create_expiry()
        minute = at.replace(second=0, microsecond=0)
        return UpdateOne(
            {"_id": f"ages {minute:%Y-%m-%dT%H:%M}"},
            {
                "$inc": {f"ages.{bucket}": count for bucket, count in ages.counts.items()},
                "$max": {"worst_ms": ages.worst_ms},
                "$setOnInsert": {"minute": minute},
            },
            upsert=True,
        )

    def last_hour(self, now: datetime) -> tuple[AgeHistogram, datetime | None]:
        """Return the ages of the last hour, and the first minute that has any."""
        found = self._collection.find({"minute": {"$gt": now - KEPT}}).to_list()
        total = AgeHistogram()
        for record in found:
            counts = Counter({int(bucket): count for bucket, count in record["ages"].items()})
            total.merge(AgeHistogram(counts, record["worst_ms"]))
        return total, min((record["minute"] for record in found), default=None)

    def _create_expiry(self) -> None:
        if not self._has_expiry:
            self._collection.create_index([("minute", ASCENDING)], expireAfterSeconds=EXPIRY_S)
            self._has_expiry = True
