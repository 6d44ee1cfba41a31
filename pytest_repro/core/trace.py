class Trace:
    def to_bytes(self):
        return b""

    @classmethod
    def from_bytes(cls, b):
        return cls()
