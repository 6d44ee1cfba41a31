"""Order by ``id()`` or by the default hash of an object, which is its address."""

from __future__ import annotations

from pytest_repro.causes import Cause, Evidence
from pytest_repro.core.finding import Finding


class AddressOrder(Cause):
    """Held by processes of one image, in which everything has the same address."""

    elsewhere = True

    def found(self, evidence: Evidence, way: str = "", beside: str = "") -> Finding:
        heard = evidence.of(self.name)
        return Finding(
            self.name, heard[0].location if heard else "",
            "runs with the same addresses gave the same, and one whose memory was laid out in another "
            "way did not: order by id(), or by the default hash of objects, goes in",
            "sort by a value of the objects instead of id(); give them __hash__ and __eq__, or keep "
            "them in a list or a dict instead of a set",
        )  # fmt: skip


cause = AddressOrder()
