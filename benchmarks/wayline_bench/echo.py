"""The limit: a bare grpcio server that does nothing. `python -m wayline_bench.echo PORT THREADS RESPONSE_BYTES`.

A thread pool of the decision service's size, one method, no protobuf, an answer that is always the same.
"""

from __future__ import annotations

import sys
from concurrent import futures

import grpc

SERVICE = "wayline.bench.Echo"
PATH = f"/{SERVICE}/Echo"


def main() -> None:
    """Serve until killed."""
    port, threads, response_bytes = map(int, sys.argv[1:])
    answer = bytes(response_bytes)

    def echo(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        return answer

    server = grpc.server(futures.ThreadPoolExecutor(threads))
    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(echo)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {"Echo": method})])
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
