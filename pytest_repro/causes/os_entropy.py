from pytest_repro.causes import Cause
from pytest_repro.adapters import pinned_entropy


class OsEntropy(Cause):
    def suspended(self, seed):
        return pinned_entropy(seed)

    def explained(self, calls):
        return "", "drawn", ""


cause = OsEntropy()
