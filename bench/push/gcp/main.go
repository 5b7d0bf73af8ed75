// The baseline of bench/push.ts: go-control-plane in its best form, one LinearCache per type behind a MuxCache.
// Prints its address, waits for a line on standard input, then changes one assignment RATE times a second.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"context"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
)

func now() string {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &at); err != nil {
		panic(err)
	}
	return fmt.Sprintf("at=%020d;", at.Nano())
}

func clusterOf(name string) *cluster.Cluster {
	return &cluster.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_EDS},
		EdsClusterConfig: &cluster.Cluster_EdsClusterConfig{EdsConfig: &core.ConfigSource{
			ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}},
		}},
	}
}

// The host name of the first endpoint says when the change was made, in ns of the monotonic clock.
func assignmentOf(name, stamp string) *endpoint.ClusterLoadAssignment {
	locality := &endpoint.LocalityLbEndpoints{}
	for index := 0; index < 10; index++ {
		hostname := ""
		if index == 0 {
			hostname = stamp
		}
		locality.LbEndpoints = append(locality.LbEndpoints, &endpoint.LbEndpoint{
			HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{
				Hostname: hostname,
				Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
					Address:       fmt.Sprintf("10.1.2.%d", index+1),
					PortSpecifier: &core.SocketAddress_PortValue{PortValue: 8080},
				}}},
			}},
		})
	}
	return &endpoint.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpoint.LocalityLbEndpoints{locality}}
}

func main() {
	count, _ := strconv.Atoi(os.Args[1])
	rate, _ := strconv.Atoi(os.Args[2])
	names := make([]string, count)
	clusters := map[string]types.Resource{}
	assignments := map[string]types.Resource{}
	for index := range names {
		name := fmt.Sprintf("outbound|8080||service-%d.default.svc.cluster.local", index)
		names[index] = name
		clusters[name] = clusterOf(name)
		assignments[name] = assignmentOf(name, "")
	}
	cds := cache.NewLinearCache(resource.ClusterType, cache.WithInitialResources(clusters))
	eds := cache.NewLinearCache(resource.EndpointType, cache.WithInitialResources(assignments))
	mux := &cache.MuxCache{
		Classify:      func(request *cache.Request) string { return request.GetTypeUrl() },
		ClassifyDelta: func(request *cache.DeltaRequest) string { return request.GetTypeUrl() },
		Caches:        map[string]cache.Cache{resource.ClusterType: cds, resource.EndpointType: eds},
	}

	grpcServer := grpc.NewServer(grpc.MaxConcurrentStreams(1000))
	discovery.RegisterAggregatedDiscoveryServiceServer(grpcServer, server.NewServer(context.Background(), mux, nil))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go grpcServer.Serve(listener)
	fmt.Println(listener.Addr())

	lines := bufio.NewScanner(os.Stdin)
	lines.Scan()
	go func() {
		for revision := 0; ; revision++ {
			time.Sleep(time.Second / time.Duration(rate))
			name := names[revision%len(names)]
			if err := eds.UpdateResource(name, assignmentOf(name, now())); err != nil {
				panic(err)
			}
		}
	}()
	for lines.Scan() {
	}
}
