"""Drives every method of the server with stock grpcio and stubs generated from the project's protos, as
a hospital's programmer would, and then behaves badly.

usage: client.py ADDRESS STUBS VKEY (STUBS is a directory that protoc has written to)
Prints a line for each thing that was shown, and exits with 1 at the first that does not hold.
"""

import base64
import hashlib
import random
import socket
import sys
import uuid

import grpc

address, stubs, vkey = sys.argv[1:4]
sys.path.insert(0, stubs)

from genetrail.v1 import administration_pb2, common_pb2, entry_pb2, ledger_service_pb2 as ledger_pb
from genetrail.v1 import ledger_service_pb2_grpc, record_pb2, recording_service_pb2 as recording_pb
from genetrail.v1 import recording_service_pb2_grpc
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status

METADATA = [("genetrail-actor", "ward-1")]
random.seed(20261122)


def shown(what):
    print("ok:", what, flush=True)


def demand(holds, what):
    if not holds:
        print("not ok:", what, flush=True)
        sys.exit(1)


def administration(**changes):
    """A record as a hospital would send it."""
    record = record_pb2.Record(
        record_id=str(uuid.UUID(int=random.getrandbits(128), version=4)),
        schema_version=1,
        event_time="2026-03-02T09:30:00+08:00",
        site="9521123001015",
        site_tz="Asia/Shanghai",
        actor_person="ward-1",
        actor_role=common_pb2.ACTOR_ROLE_NURSE if hasattr(common_pb2, "ACTOR_ROLE_NURSE") else 3,
        signature_meaning=1,
        source_kind=1,
        patient="P-%04d" % random.randrange(10000),
    )
    record.administration.CopyFrom(
        administration_pb2.Administration(
            lot=common_pb2.LotKey(gtin="09521123450011", lot="DP-001"),
            status=administration_pb2.ADMINISTRATION_STATUS_GIVEN,
            dose_actual=common_pb2.Quantity(value="120000000", unit="{cells}"),
            route=common_pb2.Code(system="http://snomed.info/sct", code="47625008"),
            performer="ward-1",
            dose_number=1,
        )
    )
    for name, value in changes.items():
        setattr(record, name, value)
    return record


def submission(record):
    return recording_pb.Submission(record=record)


def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_from(index, size, leaf, proof):
    """RFC 9162, section 2.1.3.2."""
    fn, sn, root = index, size - 1, leaf
    for hash in proof:
        demand(sn != 0, "the proof is not too long")
        if fn & 1 or fn == sn:
            root = node_hash(hash, root)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = node_hash(root, hash)
        fn, sn = fn >> 1, sn >> 1
    demand(sn == 0, "the proof is not too short")
    return root


def checkpoint_of(note):
    origin, size, root = note.split("\n")[:3]
    demand(origin == vkey.split("+")[0], "the checkpoint's origin is the key's name")
    return int(size), base64.b64decode(root)


def check_receipt(receipt):
    size, root = checkpoint_of(receipt.checkpoint)
    leaf = leaf_hash(receipt.entry)
    demand(leaf == receipt.leaf_hash, "the leaf hash is of the entry")
    proved = root_from(receipt.index, size, leaf, receipt.inclusion_proof)
    demand(proved == root, "the inclusion proof leads to the checkpoint's root")
    return entry_pb2.Entry.FromString(receipt.entry)


def refused(code, reason, call):
    """The status, and what its details say, of a call that must fail."""
    try:
        result = call()
        list(result) if hasattr(result, "__iter__") else None
    except grpc.RpcError as error:
        status = rpc_status.from_call(error)
        demand(error.code() == code, "%s, not %s (%s)" % (code, error.code(), error.details()))
        demand(status is not None, "%s has details: %s" % (code, error.details()))
        info, violations = None, []
        for detail in status.details:
            if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
                info = error_details_pb2.ErrorInfo()
                detail.Unpack(info)
            if detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
                bad = error_details_pb2.BadRequest()
                detail.Unpack(bad)
                violations = list(bad.field_violations)
        demand(info is not None and info.domain == "genetrail", "ErrorInfo of the domain genetrail")
        demand(reason is None or info.reason == reason, "%s, not %s" % (reason, info.reason))
        return violations
    demand(False, "%s is answered" % code)


def good_citizen(channel):
    recording = recording_service_pb2_grpc.RecordingServiceStub(channel)
    ledger = ledger_service_pb2_grpc.LedgerServiceStub(channel)

    health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=""))
    demand(health.status == health_pb2.HealthCheckResponse.SERVING, "the server is serving")
    shown("health")
    services = set(ProtoReflectionDescriptorDatabase(channel).get_services())
    demand("genetrail.v1.RecordingService" in services, "reflection names the services")
    shown("reflection: " + ", ".join(sorted(services)))

    record = administration()
    dry = recording.Record(
        recording_pb.RecordRequest(submission=submission(record), validate_only=True),
        metadata=METADATA,
    )
    demand(not dry.receipt.entry, "validate_only records nothing")
    first = recording.Record(
        recording_pb.RecordRequest(submission=submission(record)), metadata=METADATA
    ).receipt
    entry = check_receipt(first)
    demand(entry.actor == "ward-1", "the entry names the actor")
    demand(record_pb2.Record.FromString(entry.record) == record, "the entry carries the record")
    again = recording.Record(
        recording_pb.RecordRequest(submission=submission(record)), metadata=METADATA
    ).receipt
    demand((again.index, again.entry) == (first.index, first.entry), "a repeat is the same entry")
    check_receipt(again)
    shown("Record: a receipt that proves itself, and the same again for the same record")

    other = administration(record_id=record.record_id, patient="P-OTHER")
    refused(
        grpc.StatusCode.ALREADY_EXISTS,
        "RECORD_ID_TAKEN",
        lambda: recording.Record(
            recording_pb.RecordRequest(submission=submission(other)), metadata=METADATA
        ),
    )
    wrong = administration(site="9521123001016", site_tz="Asia/Atlantis", event_time="2026-02-30")
    wrong.administration.lot.gtin = "09521123450012"
    violations = refused(
        grpc.StatusCode.INVALID_ARGUMENT,
        None,
        lambda: recording.Record(
            recording_pb.RecordRequest(submission=submission(wrong)), metadata=METADATA
        ),
    )
    fields = sorted(violation.field for violation in violations)
    demand(len(fields) >= 4, "all violations come at once: %s" % fields)
    demand(all(v.reason and v.description for v in violations), "each names its rule and remedy")
    shown("refusals: " + ", ".join(fields))
    refused(
        grpc.StatusCode.UNAUTHENTICATED,
        "ACTOR_MISSING",
        lambda: recording.Record(recording_pb.RecordRequest(submission=submission(record))),
    )

    batch = [submission(administration()) for _ in range(20)]
    request = recording_pb.RecordBatchRequest(submissions=batch)
    receipts = recording.RecordBatch(request, metadata=METADATA).receipts
    demand(len(receipts) == 20, "a receipt for each of a batch")
    for receipt in receipts:
        check_receipt(receipt)
    repeat = recording.RecordBatch(request, metadata=METADATA).receipts
    demand([r.index for r in repeat] == [r.index for r in receipts], "a batch repeats")
    partly = recording_pb.RecordBatchRequest(
        submissions=batch[:3] + [submission(administration())]
    )
    refused(
        grpc.StatusCode.ALREADY_EXISTS,
        None,
        lambda: recording.RecordBatch(partly, metadata=METADATA),
    )
    shown("RecordBatch")

    items = [administration() for _ in range(50)]
    items[10].site = "1"
    requests = [recording_pb.RecordStreamRequest(submission=submission(item)) for item in items]
    answers = list(recording.RecordStream(iter(requests), metadata=METADATA))
    demand(len(answers) == 50, "an answer for each item of a stream")
    for number, (item, answer) in enumerate(zip(items, answers)):
        if number == 10:
            demand(answer.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0], "item 10")
        else:
            entry = check_receipt(answer.receipt)
            demand(
                record_pb2.Record.FromString(entry.record).record_id == item.record_id,
                "answers come in the order of the items",
            )
    shown("RecordStream")

    newest = ledger.GetCheckpoint(ledger_pb.GetCheckpointRequest())
    size, root = checkpoint_of(newest.checkpoint)
    demand((size, root) == (newest.tree_size, newest.root_hash), "the checkpoint's fields")
    demand(newest.verifier_key == vkey, "the verifier key")
    got = ledger.GetEntry(ledger_pb.GetEntryRequest(index=first.index))
    demand(got.entry == first.entry, "GetEntry by index")
    got = ledger.GetEntry(ledger_pb.GetEntryRequest(record_id=record.record_id))
    demand(got.index == first.index, "GetEntry by record id")
    unknown = ledger_pb.GetEntryRequest(record_id=str(uuid.uuid4()))
    refused(grpc.StatusCode.NOT_FOUND, None, lambda: ledger.GetEntry(unknown))
    beyond = ledger_pb.GetEntryRequest(index=size + 100)
    try:
        ledger.GetEntry(beyond)
        demand(False, "an entry beyond the tree is not answered")
    except grpc.RpcError as error:
        expected = (grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.NOT_FOUND)
        demand(error.code() in expected, "an entry beyond the tree")
    entries = list(ledger.ListEntries(ledger_pb.ListEntriesRequest(start=0, end=size)))
    demand([entry.index for entry in entries] == list(range(size)), "ListEntries")
    previous = bytes(32)
    for item in entries:
        entry = entry_pb2.Entry.FromString(item.entry)
        demand(entry.previous == previous, "the chain at %d" % item.index)
        previous = leaf_hash(item.entry)
    proof = ledger.ProveInclusion(ledger_pb.ProveInclusionRequest(index=2, tree_size=5))
    demand(
        root_from(2, 5, leaf_hash(entries[2].entry), proof.hashes) == proof.root_hash,
        "ProveInclusion",
    )
    consistency = ledger.ProveConsistency(
        ledger_pb.ProveConsistencyRequest(old_size=5, new_size=size)
    )
    demand(consistency.old_root == proof.root_hash, "ProveConsistency: the old root")
    demand(consistency.new_root == root, "ProveConsistency: the new root")
    refused(
        grpc.StatusCode.OUT_OF_RANGE,
        None,
        lambda: ledger.ProveInclusion(
            ledger_pb.ProveInclusionRequest(index=0, tree_size=size + 10**6)
        ),
    )
    refused(
        grpc.StatusCode.INVALID_ARGUMENT,
        None,
        lambda: ledger.AddCosignature(
            ledger_pb.AddCosignatureRequest(cosigned_checkpoint="not a note")
        ),
    )
    last = list(ledger.VerifyLedger(ledger_pb.VerifyLedgerRequest()))[-1]
    demand(last.outcome.holds, "VerifyLedger: %s" % last.outcome.finding)
    shown("LedgerService, every method; " + "; ".join(last.outcome.checked[:2]))


def bad_citizen(channel):
    """Malformed and hostile calls; the server must answer the next good one."""
    method = "/genetrail.v1.RecordingService/Record"
    raw = channel.unary_unary(method, lambda data: data, lambda data: data)
    good = recording_pb.RecordRequest(submission=submission(administration())).SerializeToString()
    hostile = [b"\xff" * 100, b"\x0a\xff\xff\xff\xff\x0f", good[: len(good) // 2], b"\x0a" * 50000]
    hostile.append(bytes([0x0B]) * 20000)  # groups that never end
    nested = b""
    for _ in range(2000):
        nested = b"\x0a" + varint(len(nested)) + nested
    hostile.append(nested)
    hostile += [bytes(random.randrange(256) for _ in range(200)) for _ in range(200)]
    for position in range(0, len(good), 3):
        changed = bytearray(good)
        changed[position] ^= 1 << random.randrange(8)
        hostile.append(bytes(changed))
    for data in hostile:
        try:
            raw(data, metadata=METADATA, timeout=10)
        except grpc.RpcError as error:
            demand(
                error.code() not in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.DEADLINE_EXCEEDED),
                "a hostile message is refused and not stumbled over: %s" % error.details(),
            )
    try:
        raw(b"\x0a" + varint(9 << 20) + bytes(9 << 20), metadata=METADATA, timeout=10)
        demand(False, "nine megabytes are refused")
    except grpc.RpcError as error:
        expected = (grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.RESOURCE_EXHAUSTED)
        demand(error.code() in expected, "nine megabytes: %s" % error.code())
    try:
        channel.unary_unary("/genetrail.v1.RecordingService/Erase", bytes, bytes)(b"", timeout=10)
    except grpc.RpcError as error:
        demand(error.code() == grpc.StatusCode.UNIMPLEMENTED, "there is no Erase")
    shown("%d hostile messages" % len(hostile))

    host, port = address.rsplit(":", 1)
    for greeting in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 500, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff"):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(greeting)
    shown("connections that speak no gRPC")


def varint(value):
    data = bytearray()
    while 0x80 <= value:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


if __name__ == "__main__":
    with grpc.insecure_channel(address) as channel:
        good_citizen(channel)
        bad_citizen(channel)
        good_citizen(channel)
    print("done")
