"""Asks query-svc by gRPC over mutual TLS what cost most, and prints a line for each: `top_costs.py --help`.

The modules of the messages are made from proto/ by generate.sh, into a folder that must be on PYTHONPATH.
"""

import argparse
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import grpc
from fedcost.query.v1 import query_pb2 as query
from fedcost.query.v1 import query_pb2_grpc

# An answer may have messages of 16 MiB; the library stops at 4 MiB unless it is told.
MOST_MESSAGE_BYTES = 16 * 1024 * 1024


def arguments():
    parser = argparse.ArgumentParser(description="Prints what cost most.")
    parser.add_argument("--address", default="127.0.0.1:7003", help="host:port of query-svc [%(default)s]")
    parser.add_argument("--ca", type=Path, required=True, help="PEM of the authorities to trust")
    parser.add_argument("--cert", type=Path, required=True, help="PEM of a certificate spiffe://<trust domain>/service/<name>")
    parser.add_argument("--key", type=Path, required=True, help="PEM of its key")
    parser.add_argument("--server-name", help="the name in the server's certificate, where it is not the address's host")
    parser.add_argument("--days", type=int, default=7, help="full days of UTC, up to last midnight [%(default)s]")
    parser.add_argument("--by", default="namespace", help="cluster, namespace, label:team, … [%(default)s]")
    parser.add_argument("--limit", type=int, default=10, help="lines [%(default)s]")
    return parser.parse_args()


def total(item):
    """What an allocation costs altogether, adjustments included."""
    own = (
        item.cpu_cost + item.cpu_cost_adjustment + item.gpu_cost + item.gpu_cost_adjustment
        + item.ram_cost + item.ram_cost_adjustment + item.network_cost + item.network_cost_adjustment
        + item.load_balancer_cost + item.load_balancer_cost_adjustment + item.pv_cost_adjustment
    )
    return own + sum(volume.cost for volume in item.volumes) + item.shared_cost + item.external_cost


def main():
    given = arguments()
    credentials = grpc.ssl_channel_credentials(
        root_certificates=given.ca.read_bytes(),
        private_key=given.key.read_bytes(),
        certificate_chain=given.cert.read_bytes(),
    )
    options = [("grpc.max_receive_message_length", MOST_MESSAGE_BYTES)]
    if given.server_name:
        options.append(("grpc.ssl_target_name_override", given.server_name))
    midnight = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    request = query.QueryAllocationsRequest(
        step=query.STEP_DAY,
        aggregate=given.by.split(","),
        accumulate=query.ACCUMULATE_ALL,
        idle=query.Idle(mode=query.IDLE_MODE_HIDE),
        page=query.Page(limit=given.limit, sort_by="totalCost"),
    )
    request.window.start.FromDatetime(midnight - timedelta(days=given.days))
    request.window.end.FromDatetime(midnight)

    with grpc.secure_channel(given.address, credentials, options=options) as channel:
        client = query_pb2_grpc.QueryServiceStub(channel)
        try:
            # Always with a deadline: a question may wait for its turn.
            for answer in client.QueryAllocations(request, timeout=60):
                for item in answer.allocations:
                    print(f"{total(item):12.2f}  {item.name}")
        except grpc.RpcError as error:
            sys.exit(f"top_costs: {error.code().name}: {error.details()}")


if __name__ == "__main__":
    main()
