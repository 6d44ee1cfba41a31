from typing import NamedTuple


class Call(NamedTuple):
    what: str
    cause: str
    location: str
    count: int = 1
