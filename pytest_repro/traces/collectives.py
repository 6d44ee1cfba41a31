"""Traces collective operations: their outputs arrive while the program goes on.

An operation returns before its tensors are filled. Waiting for it could block a program that starts several
in another order on each rank. So outputs are digested at the first op that follows its end: whoever changes
them has waited for that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from pytest_repro.core.trace.columns import ALL, Collective
from pytest_repro.traces.backward_links import next_sequence_number
from pytest_repro.traces.op_reader import OpRecord
from pytest_repro.traces.op_schema import COLLECTIVE_OPS, RECEIVE, WAIT, CollectiveOp, OpSchema

if TYPE_CHECKING:
    from pytest_repro.traces.dispatch_mode import TraceMode


class _Open(NamedTuple):
    """A collective whose outputs are not digested yet."""

    position: int  # index of its op
    tensors: Sequence[Any]
    work: Any  # None: of a functional op, for which ``wait_tensor`` waits
    receives_from: tuple[Any, int] | None  # group and tag of a receive from any rank


class CollectiveReader:
    """Calls collective ops and adds them to the columns of *mode*.

    Attributes:
        open: Those whose outputs are not digested yet.
    """

    def __init__(self, mode: TraceMode) -> None:
        self._mode, self._columns, self._pending = mode, mode.columns, mode.pending
        self._digester, self._known, self._reader = mode.digester, mode.known_memory, mode.reader
        self._counts = Counter[str]()
        self.open: list[_Open] = []

    def call(self, schema: OpSchema, func: Any, args: Any, kwargs: Any, frame: FrameType) -> Any:
        """Calls *func*, a collective op or the one that waits for it."""
        if schema.qualified_name == WAIT:
            result = func(*args, **kwargs)
            self.settle(waited=args[0])
            return result
        record = self._read_arguments(schema, args)
        result = func(*args, **kwargs)
        links, locate = self._mode.links, self._mode.locator.locate
        place = locate(links.find_calling_frame(frame)), links.find_forward_op()
        with suppress(Exception):  # of private parts of torch.distributed, or of an argument by keyword
            index = self._add(schema, record, args, result, place)
            if next_sequence_number() != links.next_node:
                links.link_nodes(index)
        return result

    def _read_arguments(self, schema: OpSchema, args: Sequence[Any]) -> OpRecord:
        """Reads the inputs before the op can write to them, and which rank sends or receives."""
        record, op = OpRecord(), COLLECTIVE_OPS[schema.qualified_name]
        places = [place for place in (op.source, op.target, op.tag) if place is not None]
        with suppress(Exception):
            values = [args[place] for place in places]
            is_sender = op.source is None or args[op.source] == _find_group(args[op.group]).rank()
            if op.inputs is not None and is_sender:
                values.append(args[op.inputs])
            self._reader.read_arguments(record, schema, tuple(values), {})
        return record

    def _add(
        self, schema: OpSchema, record: OpRecord, args: Sequence[Any], result: Any, place: tuple[int, int]
    ) -> int:
        """Adds the op that returned *result*, at *place* (its line and its forward op); returns its index."""
        op = COLLECTIVE_OPS[schema.qualified_name]
        tensors = self._list_outputs(op, args, result)
        for each in tensors:
            record.kinds.append(self._digester.kind_number(each))
            self._known.forget(each)
        name, (line, forward) = self._columns.names.intern(schema.name), place
        outputs, inputs = [0] * len(tensors), [each if isinstance(each, int) else 0 for each in record.inputs]
        index = self._columns.add((name, line, forward, outputs, record.kinds, inputs, 0, 0))
        if record.has_pending:
            self._pending.add_op(index, (), record.inputs)
        group, tag = _find_group(args[op.group]), args[op.tag] if op.tag is not None else 0
        if op.name == RECEIVE and op.source is None:
            self._open(index, tensors, result, (group, tag))
        else:
            self._mark(index, op, group, args, tag)
            self._open(index, tensors, result, None)
        return index

    def _list_outputs(self, op: CollectiveOp, args: Sequence[Any], result: Any) -> list[Any]:
        if op.target is not None and args[op.target] != _find_group(args[op.group]).rank():
            return []  # what a reduction leaves in ranks that do not receive it is undefined
        outputs = result if op.outputs is None else args[op.outputs]
        return [each for each in _iter_parts(outputs) if isinstance(each, torch.Tensor)]

    def _open(self, index: int, tensors: Sequence[Any], result: Any, receives_from: Any) -> None:
        works = [each for each in _iter_parts(result) if isinstance(each, torch.ScriptObject)]
        # Work on a device goes on after it is waited for: its outputs stay unknown.
        if all(each.is_cpu for each in tensors) and (tensors or receives_from):
            work = torch.distributed.Work.unbox(works[0]) if works else None
            self.open.append(_Open(index, tensors, work, receives_from))

    def _mark(self, index: int, op: CollectiveOp, group: Any, args: Sequence[Any], tag: int) -> None:
        members = tuple(torch.distributed.get_process_group_ranks(group))
        own = members[group.rank()]
        source = ALL if op.source is None else members[args[op.source]]
        target = ALL if op.target is None else members[args[op.target]]
        if op.tag is None:
            self._add_collective(index, op.name, group.group_name, members, source, target)
        else:
            ends = (own, target) if source == ALL else (source, own)
            self._add_channel(index, op.name, group.group_name, ends, tag)

    def _add_channel(self, index: int, name: str, group: str, ends: tuple[int, int], tag: int) -> None:
        self._add_collective(index, name, f"{group}: {ends[0]} to {ends[1]}, tag {tag}", ends, *ends)

    def _add_collective(
        self, index: int, name: str, group: str, members: tuple[int, ...], source: int, target: int
    ) -> None:
        self._columns.collectives[index] = Collective(name, group, self._counts[group], source, target)
        self._columns.group_ranks[group] = members
        self._counts[group] += 1

    def settle(self, waited: Any = None) -> None:
        """Digests the outputs of those that have ended: of functional ops, the one that returned *waited*."""
        collectives, self.open = self.open, []
        for each in collectives:
            with suppress(Exception):  # leaves a gap in the trace, not in the program
                if _has_ended(each, waited):
                    self._close(each)
                else:
                    self.open.append(each)

    def _close(self, ended: _Open) -> None:
        if ended.receives_from is not None:
            group, tag = ended.receives_from
            members = torch.distributed.get_process_group_ranks(group)
            ends = members[ended.work._source_rank()], members[group.rank()]
            self._add_channel(ended.position, RECEIVE, group.group_name, ends, tag)
        digests = [self._digester.digest_tensor(t)[1] for t in ended.tensors]
        self._columns.set_outputs(ended.position, [each if isinstance(each, int) else 0 for each in digests])
        for t in ended.tensors:
            self._known.add(t)


def _has_ended(collective: _Open, waited: Any) -> bool:
    """Whether the outputs are there; the reducer of DDP waits for the future, others for the work."""
    if (work := collective.work) is not None:
        return bool(work.is_completed() or work.get_future().done())
    return waited is not None and any(each.data_ptr() == waited.data_ptr() for each in collective.tensors)


def _find_group(value: Any) -> Any:
    """The process group of an argument, which may be its name."""
    c10d: Any = torch.distributed.distributed_c10d
    if isinstance(value, str):
        return c10d._resolve_process_group(value)
    return c10d.ProcessGroup.unbox(value) if isinstance(value, torch.ScriptObject) else value


def _iter_parts(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _iter_parts(each)
    else:
        yield value
