// Command topcosts asks query-svc by gRPC over mutual TLS what cost most, and prints a line for each.
//
// The package queryv1 is made from proto/ by generate.sh.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/timestamppb"

	"fedcost.example/topcosts/queryv1"
)

// An answer may have messages of 16 MiB; the library stops at 4 MiB unless it is told.
const mostMessageBytes = 16 << 20

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "topcosts:", err)
		os.Exit(1)
	}
}

func run() error {
	address := flag.String("address", "127.0.0.1:7003", "host:port of query-svc")
	ca := flag.String("ca", "", "PEM of the authorities to trust")
	cert := flag.String("cert", "", "PEM of a certificate spiffe://<trust domain>/service/<name>")
	key := flag.String("key", "", "PEM of its key")
	serverName := flag.String("server-name", "", "the name in the server's certificate, where it is not the address's host")
	trustDomain := flag.String("trust-domain", "fedcost", "the trust domain of the services")
	days := flag.Int("days", 7, "full days of UTC, up to last midnight")
	by := flag.String("by", "namespace", "cluster, namespace, label:team, …")
	limit := flag.Uint64("limit", 10, "lines")
	flag.Parse()

	config, err := mutualTLS(*ca, *cert, *key, "spiffe://"+*trustDomain+"/service/query-svc")
	if err != nil {
		return err
	}
	config.ServerName = *serverName
	connection, err := grpc.NewClient(*address,
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(mostMessageBytes)))
	if err != nil {
		return err
	}
	defer connection.Close()

	// Always with a deadline: a question may wait for its turn.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	midnight := time.Now().UTC().Truncate(24 * time.Hour)
	answers, err := queryv1.NewQueryServiceClient(connection).QueryAllocations(ctx, &queryv1.QueryAllocationsRequest{
		Window: &queryv1.Window{
			Start: timestamppb.New(midnight.AddDate(0, 0, -*days)),
			End:   timestamppb.New(midnight),
		},
		Step:       queryv1.Step_STEP_DAY,
		Aggregate:  strings.Split(*by, ","),
		Accumulate: queryv1.Accumulate_ACCUMULATE_ALL,
		Idle:       &queryv1.Idle{Mode: queryv1.IdleMode_IDLE_MODE_HIDE},
		Page:       &queryv1.Page{Limit: *limit, SortBy: "totalCost"},
	})
	if err != nil {
		return err
	}
	for {
		answer, err := answers.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, item := range answer.GetAllocations() {
			fmt.Printf("%12.2f  %s\n", total(item), item.GetName())
		}
	}
}

// total is what an allocation costs altogether, adjustments included.
func total(item *queryv1.Allocation) float64 {
	sum := item.GetCpuCost() + item.GetCpuCostAdjustment() + item.GetGpuCost() + item.GetGpuCostAdjustment() +
		item.GetRamCost() + item.GetRamCostAdjustment() + item.GetNetworkCost() + item.GetNetworkCostAdjustment() +
		item.GetLoadBalancerCost() + item.GetLoadBalancerCostAdjustment() + item.GetPvCostAdjustment() +
		item.GetSharedCost() + item.GetExternalCost()
	for _, volume := range item.GetVolumes() {
		sum += volume.GetCost()
	}
	return sum
}

// mutualTLS shows our certificate and takes a server only if it proves to be the identity expected.
func mutualTLS(caFile, certFile, keyFile, expected string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: there is no certificate in it", caFile)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{pair},
		RootCAs:      roots,
		VerifyConnection: func(state tls.ConnectionState) error {
			found := state.PeerCertificates[0].URIs
			if len(found) != 1 || found[0].String() != expected {
				return fmt.Errorf("the server is %v, expected %s", found, expected)
			}
			return nil
		},
	}, nil
}
