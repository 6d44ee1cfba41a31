from pytest_repro.causes import Cause
class FileOrder(Cause):
    pass
cause=FileOrder()
