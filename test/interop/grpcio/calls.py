# A client of Python's gRPC by xds:///: every line of standard input is a JSON object {"parallel": N, "calls": [...]}, and every
# call is answered by a line on standard output. Requests and answers are text, without protobuf. It speaks TLS where xDS says so.
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import grpc.experimental

channels = {}
writing = threading.Lock()


def channel_to(target):
    if target not in channels:
        security = grpc.xds_channel_credentials(grpc.experimental.insecure_channel_credentials())
        channels[target] = grpc.secure_channel(target, security)
    return channels[target]


def make(channel, call):
    method = channel.unary_unary(call["method"])
    began = time.monotonic()
    reply = b""
    try:
        reply, ended = method.with_call(
            call["id"].encode(), metadata=list(call["metadata"].items()), timeout=call["deadlineMs"] / 1000
        )
    except grpc.RpcError as error:
        ended = error
    trailer = dict(ended.trailing_metadata() or ())
    peer = ended.peer() if hasattr(ended, "peer") else ""
    answer = {
        "id": call["id"],
        "reply": reply.decode(),
        "code": ended.code().value[0],
        "message": ended.details() or "",
        "version": trailer.get("x-version", ""),
        "peer": peer or "",
        "elapsedMs": (time.monotonic() - began) * 1000,
    }
    with writing:
        print(json.dumps(answer), flush=True)


for line in sys.stdin:
    batch = json.loads(line)
    with ThreadPoolExecutor(max(batch["parallel"], 1)) as pool:
        for running in [pool.submit(make, channel_to(call["target"]), call) for call in batch["calls"]]:
            running.result()
