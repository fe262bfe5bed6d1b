"""Asks query-svc for an answer in columns, over gRPC with mutual TLS, as docs/grpc.md says."""
import pathlib
import subprocess
import sys

import grpc
import pyarrow

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVICE = "month-bench"


class Columns:
    """A connection to query-svc, with a certificate of the authority under `certs`."""

    def __init__(self, fedcost, certs, port):
        subprocess.run([fedcost, "certs", "issue", "--service", SERVICE, "--dir", certs], check=True,
                       stdout=subprocess.DEVNULL)
        files = (certs / "ca.pem", certs / "service" / SERVICE / "key.pem", certs / "service" / SERVICE / "cert.pem")
        credentials = grpc.ssl_channel_credentials(*(file.read_bytes() for file in files))
        self.channel = grpc.secure_channel(
            f"localhost:{port}", credentials, [("grpc.max_receive_message_length", 16 << 20)])
        sys.path.insert(0, str(ROOT / "proto"))
        self.messages, services = grpc.protos_and_services("fedcost/query/v1/query.proto")
        self.query = services.QueryServiceStub(self.channel)

    def allocations(self, start, end, aggregate):
        """Allocations of a span, accumulated, as an Arrow table."""
        request = self.messages.QueryAllocationsRequest(
            window={"start": {"seconds": start}, "end": {"seconds": end}},
            aggregate=[aggregate], accumulate="ACCUMULATE_ALL")
        pieces = (message.arrow_ipc for message in self.query.QueryAllocationColumns(request, timeout=300))
        return pyarrow.ipc.open_stream(pyarrow.BufferReader(b"".join(pieces))).read_all()
