# client.py TARGET PATH COUNT: calls a unary method of text in, text out, and prints each answer on a line.
import sys

import grpc

target, path, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with grpc.insecure_channel(target) as channel:
    call = channel.unary_unary(path)
    for index in range(count):
        print(call(f"call {index}".encode(), timeout=20).decode(), flush=True)
