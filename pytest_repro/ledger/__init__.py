import sysconfig, os, contextlib

_S = tuple(sysconfig.get_paths()[k] for k in ("stdlib", "purelib"))
_O = os.path.dirname(os.path.dirname(__file__))
Target = object


class Ledger:
    def calls(self):
        return []


def is_users(file):
    return bool(file) and not file.startswith(_S) and not file.startswith(_O) and not file.startswith("<")


@contextlib.contextmanager
def listening(t):
    list(t)
    yield Ledger()
