// An xDS server on go-control-plane's snapshot cache, steered over standard input.
//
// Each line is {"version": "1", "resources": [{"@type": "type.googleapis.com/envoy…", …}, …]} and replaces the snapshot
// that every client gets, whatever its node. The first line on standard output is the address it listens on; "ok" or
// an error follows each line read.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
)

type everyNode struct{}

func (everyNode) ID(*core.Node) string { return "all" }

type update struct {
	Version   string            `json:"version"`
	Resources []json.RawMessage `json:"resources"`
}

func apply(snapshots cache.SnapshotCache, line []byte) error {
	var next update
	if err := json.Unmarshal(line, &next); err != nil {
		return err
	}
	byType := map[string][]types.Resource{}
	for _, raw := range next.Resources {
		var wrapped anypb.Any
		if err := protojson.Unmarshal(raw, &wrapped); err != nil {
			return err
		}
		message, err := wrapped.UnmarshalNew()
		if err != nil {
			return err
		}
		byType[wrapped.TypeUrl] = append(byType[wrapped.TypeUrl], message)
	}
	snapshot, err := cache.NewSnapshot(next.Version, byType)
	if err != nil {
		return err
	}
	return snapshots.SetSnapshot(context.Background(), "all", snapshot)
}

func main() {
	snapshots := cache.NewSnapshotCache(false, everyNode{}, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	grpcServer := grpc.NewServer()
	discovery.RegisterAggregatedDiscoveryServiceServer(grpcServer, server.NewServer(context.Background(), snapshots, nil))
	go grpcServer.Serve(listener)
	fmt.Println(listener.Addr())

	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if err := apply(snapshots, lines.Bytes()); err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println("ok")
	}
}
