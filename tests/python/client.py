"""Drives every method of the server with stock grpcio and stubs generated from the project's protos, as
a hospital's programmer would, and then behaves badly. `cargo test --test it python` runs it; by hand:

    python3 -m venv venv
    venv/bin/pip install -r tests/python/requirements.txt
    mkdir stubs
    venv/bin/python -m grpc_tools.protoc -I proto --python_out=stubs --grpc_python_out=stubs \\
        proto/genetrail/v1/*.proto
    venv/bin/python tests/python/client.py 127.0.0.1:7410 stubs VKEY

against a server of which VKEY is the verifier key, as its keeper gave it to you. It records some hundred
administrations of made-up patients: use a ledger that you can throw away.

Prints a line for each thing that was shown, and exits with 1 at the first that does not hold. To begin
with, read `administration`, `check_receipt` and `record_one`.
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

from genetrail.v1 import administration_pb2, authority_pb2, common_pb2, entry_pb2, record_pb2
from genetrail.v1 import ledger_service_pb2 as ledger_pb
from genetrail.v1 import ledger_service_pb2_grpc
from genetrail.v1 import recording_service_pb2 as recording_pb
from genetrail.v1 import recording_service_pb2_grpc
from google.rpc import error_details_pb2
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_status import rpc_status

# Who calls, until callers are known by their certificates.
METADATA = [("genetrail-actor", "ward-1")]


def shown(what):
    print("ok:", what, flush=True)


def demand(holds, what):
    if not holds:
        print("not ok:", what, flush=True)
        sys.exit(1)


# What a hospital does: make a record, submit it, check the receipt and keep it.


def administration(patient="P-0001"):
    """The record of a dose that was given."""
    return record_pb2.Record(
        # Yours to choose, once for each record: submitted again, it is answered with the first entry.
        record_id=str(uuid.uuid4()),
        schema_version=1,
        event_time="2026-03-02T09:30:00+08:00",
        site="9521123001015",
        site_tz="Asia/Shanghai",
        actor_person="ward-1",
        actor_role=authority_pb2.ACTOR_ROLE_NURSE,
        signature_meaning=record_pb2.SIGNATURE_MEANING_AUTHORSHIP,
        source_kind=record_pb2.SOURCE_KIND_DIRECT,
        patient=patient,
        administration=administration_pb2.Administration(
            lot=common_pb2.LotKey(gtin="09521123450011", lot="DP-001"),
            status=administration_pb2.ADMINISTRATION_STATUS_GIVEN,
            dose_actual=common_pb2.Quantity(value="120000000", unit="{cells}"),
            route=common_pb2.Code(system="http://snomed.info/sct", code="47625008"),
            performer="ward-1",
            dose_number=1,
        ),
    )


def submission(record):
    return recording_pb.Submission(record=record)


def check_receipt(receipt):
    """Checks that the entry is in the tree of the receipt's checkpoint, and returns the entry. The
    checkpoint's signature is for `genetrail check`, or for verify_export.py beside this file."""
    size, root = checkpoint_of(receipt.checkpoint)
    leaf = leaf_hash(receipt.entry)
    demand(leaf == receipt.leaf_hash, "the leaf hash is of the entry")
    proved = root_from(receipt.index, size, leaf, receipt.inclusion_proof)
    demand(proved == root, "the inclusion proof leads to the checkpoint's root")
    entry = entry_pb2.Entry.FromString(receipt.entry)
    demand(entry.index == receipt.index, "the entry has the receipt's index")
    return entry


def checkpoint_of(note):
    """Size and root hash in a checkpoint of the ledger."""
    origin, size, root = note.split("\n")[:3]
    demand(origin == vkey.split("+")[0], "the checkpoint's origin is the key's name")
    return int(size), base64.b64decode(root)


def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_from(index, size, leaf, proof):
    """The root that an inclusion proof leads to: RFC 9162, section 2.1.3.2."""
    fn, sn, root = index, size - 1, leaf
    for sibling in proof:
        demand(sn != 0, "the proof is not too long")
        if fn & 1 or fn == sn:
            root = node_hash(sibling, root)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = node_hash(root, sibling)
        fn, sn = fn >> 1, sn >> 1
    demand(sn == 0, "the proof is not too short")
    return root


def refused(code, reason, call):
    """Demands that a call fails with this code, and its details with this reason; returns them."""
    try:
        answer = call()
        if isinstance(answer, grpc.Call):
            list(answer)
    except grpc.RpcError as error:
        demand(error.code() == code, "%s, not %s: %s" % (code, error.code(), error.details()))
        status = rpc_status.from_call(error)
        demand(status is not None, "%s has details: %s" % (code, error.details()))
        return details_of(status, reason)
    demand(False, "%s, not an answer" % code)


def details_of(status, reason):
    """What the details of a google.rpc.Status say: its metadata, and the fields that break a rule."""
    info, violations = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)  # Does nothing with a detail of another type.
        detail.Unpack(violations)
    demand(info.domain == "genetrail", "ErrorInfo of the domain genetrail")
    demand(info.reason == reason, "%s, not %s: %s" % (reason, info.reason, status.message))
    return dict(info.metadata), list(violations.field_violations)


def record_one(recording):
    record = administration()
    request = recording_pb.RecordRequest(submission=submission(record), validate_only=True)
    receipt = recording.Record(request, metadata=METADATA).receipt
    demand(not receipt.entry, "validate_only records nothing")

    request = recording_pb.RecordRequest(submission=submission(record))
    first = recording.Record(request, metadata=METADATA).receipt
    entry = check_receipt(first)
    demand(entry.actor == "ward-1", "the entry names the actor")
    demand(record_pb2.Record.FromString(entry.record) == record, "the entry carries the record")
    for flag in first.flags:
        demand(flag.code and flag.text, "a flag says what it means")
    shown("Record, flagged with " + (", ".join(flag.code for flag in first.flags) or "nothing"))

    again = recording.Record(request, metadata=METADATA).receipt
    check_receipt(again)
    demand((again.index, again.entry) == (first.index, first.entry), "a repeat is the same entry")
    encoded = recording_pb.Submission(encoded=record.SerializeToString(deterministic=True))
    again = recording.Record(recording_pb.RecordRequest(submission=encoded), metadata=METADATA)
    demand(again.receipt.index == first.index, "the same bytes are the same record")
    shown("Record, repeated: the same entry")
    return record, first


def record_wrongly(recording, record):
    def submit(record, metadata=METADATA):
        request = recording_pb.RecordRequest(submission=submission(record))
        return lambda: recording.Record(request, metadata=metadata)

    other = administration("P-0002")
    other.record_id = record.record_id
    refused(StatusCode.ALREADY_EXISTS, "RECORD_ID_TAKEN", submit(other))
    refused(StatusCode.UNAUTHENTICATED, "ACTOR_MISSING", submit(record, metadata=None))

    wrong = administration()
    wrong.site, wrong.site_tz, wrong.event_time = "9521123001016", "Asia/Atlantis", "2026-02-30"
    wrong.administration.lot.gtin = "09521123450012"
    _, violations = refused(StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", submit(wrong))
    fields = {violation.field for violation in violations}
    expected = {"event_time", "site", "site_tz", "administration.lot.gtin"}
    missing = {"submission.record." + field for field in expected} - fields
    demand(not missing, "all violations come at once, also of %s" % missing)
    demand(all(v.reason and v.description for v in violations), "each names its rule and remedy")
    shown("Record, refused: " + ", ".join("%s %s" % (v.field, v.reason) for v in violations))


def record_batch(recording):
    batch = [submission(administration()) for _ in range(20)]
    request = recording_pb.RecordBatchRequest(submissions=batch)
    receipts = recording.RecordBatch(request, metadata=METADATA).receipts
    demand(len(receipts) == 20, "a receipt for each of a batch")
    for receipt in receipts:
        check_receipt(receipt)
    repeat = recording.RecordBatch(request, metadata=METADATA).receipts
    demand([r.index for r in repeat] == [r.index for r in receipts], "a batch repeats")

    partly = recording_pb.RecordBatchRequest(submissions=batch[:3] + [submission(administration())])
    refused(
        StatusCode.ALREADY_EXISTS,
        "BATCH_PARTLY_RECORDED",
        lambda: recording.RecordBatch(partly, metadata=METADATA),
    )
    shown("RecordBatch")


def record_stream_request(record=None):
    return recording_pb.RecordStreamRequest(submission=submission(record or administration()))


def record_stream(recording):
    records = [administration() for _ in range(50)]
    records[10].site = "1"
    requests = (record_stream_request(record) for record in records)
    answers = list(recording.RecordStream(requests, metadata=METADATA))
    demand(len(answers) == 50, "an answer for each item of a stream")
    for record, answer in zip(records, answers):
        if record is records[10]:
            demand(answer.error.code == StatusCode.INVALID_ARGUMENT.value[0], "the wrong item's code")
            _, violations = details_of(answer.error, "FIELD_INVALID")
            demand([v.field for v in violations] == ["submission.record.site"], "its wrong field")
        else:
            entry = check_receipt(answer.receipt)
            demand(record_pb2.Record.FromString(entry.record) == record, "answers come in order")
    shown("RecordStream")


def read_entries(ledger, record, receipt):
    """Reads the log and checks its chain; returns the leaf hashes."""
    newest = ledger.GetCheckpoint(ledger_pb.GetCheckpointRequest())
    size, root = checkpoint_of(newest.checkpoint)
    demand((size, root) == (newest.tree_size, newest.root_hash), "the checkpoint's fields")
    demand(newest.verifier_key == vkey, "the verifier key is the one that we were given")
    shown("GetCheckpoint")

    def by(**key):
        return ledger.GetEntry(ledger_pb.GetEntryRequest(**key))

    demand(by(index=receipt.index).entry == receipt.entry, "GetEntry by index")
    demand(by(record_id=record.record_id).index == receipt.index, "GetEntry by record id")
    not_found = (StatusCode.NOT_FOUND, "ENTRY_NOT_FOUND")
    refused(*not_found, lambda: by(record_id=str(uuid.uuid4())))
    details, _ = refused(*not_found, lambda: by(index=size + 1000))
    demand(int(details["tree_size"]) >= size, "the refusal says how large the tree is")
    refused(StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", lambda: by(record_id="7"))
    refused(StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", by)
    shown("GetEntry")

    leaves, previous = [], bytes(32)
    for listed in ledger.ListEntries(ledger_pb.ListEntriesRequest(start=0, end=size)):
        entry = entry_pb2.Entry.FromString(listed.entry)
        demand(listed.index == entry.index == len(leaves), "entries come in order")
        demand(entry.previous == previous, "the chain at %d" % entry.index)
        previous = leaf_hash(listed.entry)
        leaves.append(previous)
    demand(len(leaves) == size, "every entry is listed")
    beyond = ledger_pb.ListEntriesRequest(start=0, end=size + 1000)
    refused(StatusCode.OUT_OF_RANGE, "TREE_SIZE_AHEAD", lambda: ledger.ListEntries(beyond))
    shown("ListEntries, chained")
    return leaves


def prove(ledger, leaves):
    def inclusion(index, size):
        request = ledger_pb.ProveInclusionRequest(index=index, tree_size=size)
        return ledger.ProveInclusion(request)

    def consistency(old, new):
        request = ledger_pb.ProveConsistencyRequest(old_size=old, new_size=new)
        return ledger.ProveConsistency(request)

    size = len(leaves)
    for index, of in [(2, 5), (0, 1), (4, 5), (size // 2, size), (size - 1, size)]:
        proof = inclusion(index, of)
        demand(proof.leaf_hash == leaves[index], "the leaf hash of the proof")
        demand(root_from(index, of, leaves[index], proof.hashes) == proof.root_hash, "the proof")
    shown("ProveInclusion")

    joined = consistency(5, size)
    demand(joined.old_root == inclusion(2, 5).root_hash, "the root of the older tree")
    demand(joined.new_root == inclusion(2, size).root_hash, "the root of the newer tree")
    demand(0 < len(joined.hashes), "a proof between the two")
    shown("ProveConsistency")

    ahead = (StatusCode.OUT_OF_RANGE, "TREE_SIZE_AHEAD")
    refused(*ahead, lambda: inclusion(0, size + 10**6))
    refused(*ahead, lambda: consistency(1, size + 10**6))
    refused(StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", lambda: consistency(0, size))


def cosign(ledger):
    def add(note):
        request = ledger_pb.AddCosignatureRequest(cosigned_checkpoint=note)
        return lambda: ledger.AddCosignature(request)

    newest = ledger.GetCheckpoint(ledger_pb.GetCheckpointRequest()).checkpoint
    refused(StatusCode.INVALID_ARGUMENT, "CHECKPOINT_REJECTED", add("not a note"))
    refused(StatusCode.FAILED_PRECONDITION, "WITNESS_UNKNOWN", add(newest))
    shown("AddCosignature: not without a witness")


def verify(ledger):
    newest = ledger.GetCheckpoint(ledger_pb.GetCheckpointRequest())
    since = ledger_pb.VerifyLedgerRequest(since_checkpoint=newest.checkpoint)
    *_, last = ledger.VerifyLedger(since)
    demand(last.outcome.holds, "the log holds: %s" % last.outcome.finding)
    demand(newest.tree_size <= last.checked == last.tree_size, "all of it was checked")
    wrong = ledger_pb.VerifyLedgerRequest(since_checkpoint="not a note")
    refused(StatusCode.INVALID_ARGUMENT, "CHECKPOINT_REJECTED", lambda: ledger.VerifyLedger(wrong))
    shown("VerifyLedger: " + "; ".join(last.outcome.checked))


def look_around(channel):
    """What every gRPC server tells of itself."""
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", "genetrail.v1.RecordingService", "genetrail.v1.LedgerService"):
        status = health.Check(health_pb2.HealthCheckRequest(service=service)).status
        demand(status == health_pb2.HealthCheckResponse.SERVING, "%r is serving" % service)
    # The package has the messages under the old name of the service; they are the same.
    reflect = channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    (answer,) = reflect(asked)
    services = {service.name for service in answer.list_services_response.service}
    demand("genetrail.v1.RecordingService" in services, "reflection names the services")
    shown("health, and reflection: " + ", ".join(sorted(services)))


def behave_well(channel):
    recording = recording_service_pb2_grpc.RecordingServiceStub(channel)
    ledger = ledger_service_pb2_grpc.LedgerServiceStub(channel)
    look_around(channel)
    record, receipt = record_one(recording)
    record_wrongly(recording, record)
    record_batch(recording)
    record_stream(recording)
    leaves = read_entries(ledger, record, receipt)
    prove(ledger, leaves)
    cosign(ledger)
    verify(ledger)


# What nobody should do.


def hostile_messages():
    """Bytes that are no request, or one that was damaged on the way."""
    request = recording_pb.RecordRequest(submission=submission(administration()))
    good = request.SerializeToString()
    yield b"\xff" * 100
    yield b"\x0a\xff\xff\xff\xff\x0f"  # a length of 4 GiB
    yield b"\x0a" * 50000
    yield b"\x0b" * 20000  # groups that never end
    for length in range(1, len(good), 7):
        yield good[:length]
    nested = b""
    for _ in range(2000):
        nested = b"\x0a" + varint(len(nested)) + nested
        if len(nested) in (200, 400) or 8000 < len(nested):
            yield nested
    chance = random.Random(20261122)
    for _ in range(200):
        yield chance.randbytes(200)
    for position in range(len(good)):
        changed = bytearray(good)
        changed[position] ^= 1 << chance.randrange(8)
        yield bytes(changed)


def varint(value):
    data = bytearray()
    while 0x80 <= value:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def behave_badly(channel):
    """Malformed and hostile calls: each is answered, and none as if the server were at fault."""

    def raw(method, data):
        call = channel.unary_unary("/genetrail.v1.RecordingService/" + method)
        return lambda: call(data, metadata=METADATA, timeout=10)

    count = 0
    for count, data in enumerate(hostile_messages(), 1):
        try:
            raw("Record", data)()
        except grpc.RpcError as error:
            # A flipped bit may leave it a good record; the next one is then another of the same id.
            expected = (StatusCode.INVALID_ARGUMENT, StatusCode.ALREADY_EXISTS)
            said = "%s: %s" % (error.code(), error.details())
            demand(error.code() in expected, "a mistake of the caller, not " + said)
            demand(rpc_status.from_call(error) is not None, "a refusal has details: " + said)
    shown("%d malformed messages" % count)
    large = b"\x0a" + varint(9 << 20) + bytes(9 << 20)
    refused(StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE", raw("Record", large))
    refused(StatusCode.UNIMPLEMENTED, "METHOD_UNKNOWN", raw("Erase", b""))
    shown("nine megabytes, and a method that there is not")

    recording = recording_service_pb2_grpc.RecordingServiceStub(channel)
    for _ in range(10):
        endless = iter(record_stream_request, None)
        call = recording.RecordStream(endless, metadata=METADATA)
        check_receipt(next(call).receipt)
        call.cancel()
    shown("streams that are cancelled in the middle")

    host, port = address.rsplit(":", 1)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for greeting in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 500, preface, preface + b"\xff" * 9):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(greeting)
    shown("connections that speak no gRPC")


if __name__ == "__main__":
    with grpc.insecure_channel(address) as channel:
        behave_well(channel)
        behave_badly(channel)
        behave_well(channel)
    print("done")
