"""The limit: a bare grpcio server that does nothing. `python -m wayline_bench.echo PORT THREADS RESPONSE_BYTES WAY`.

A thread pool of the decision service's size, one method, no protobuf, an answer that is always the same. WAY is `usual`
for a server as grpcio documents it, or `direct` for the way that `Decide` takes (`wayline.direct`).
"""

from __future__ import annotations

import sys
from concurrent import futures

import grpc

from wayline.direct import DirectMethod

SERVICE = "wayline.bench.Echo"
PATH = f"/{SERVICE}/Echo"


def main() -> None:
    """Serve until killed."""
    port, threads, response_bytes = map(int, sys.argv[1:4])
    direct = sys.argv[4] == "direct"
    answer = bytes(response_bytes)

    def echo(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        return answer

    pool = futures.ThreadPoolExecutor(threads)
    server = grpc.server(pool)
    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(echo)
    ours = DirectMethod(PATH, lambda _request, _seconds: answer, pool)
    if direct:
        ours.add_to(server)
    else:
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {"Echo": method})])
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    if direct:
        ours.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
