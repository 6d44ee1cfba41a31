import contextlib
from pytest_repro.core.trace import Trace


@contextlib.contextmanager
def trace(thorough=False):
    yield Trace()
