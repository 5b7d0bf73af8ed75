// Admin services of gRPC, from both sides. `csds dump ADDRESS` asks ADDRESS for its client status and its channelz servers, and writes a
// line of JSON for each resource; `csds serve TARGET` connects to an xds:/// target by grpc-go, offers its own admin services, and writes their
// address.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"

	statuspb "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/admin"
	channelzpb "google.golang.org/grpc/channelz/grpc_channelz_v1"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/xds"
)

type resource struct {
	Scope   string `json:"scope"`
	Node    string `json:"node"`
	Type    string `json:"type"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Status  string `json:"status"`
	Updated int64  `json:"updated"`
	Config  string `json:"config"`
	Problem string `json:"problem"`
	Refused string `json:"refused"`
	Servers int    `json:"servers"`
}

func dial(target string) *grpc.ClientConn {
	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	return connection
}

func dump(address string) {
	connection := dial(address)
	servers, err := channelzpb.NewChannelzClient(connection).GetServers(context.Background(), &channelzpb.GetServersRequest{})
	if err != nil {
		log.Fatal(err)
	}
	stream, err := statuspb.NewClientStatusDiscoveryServiceClient(connection).StreamClientStatus(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	if err := stream.Send(&statuspb.ClientStatusRequest{}); err != nil {
		log.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		log.Fatal(err)
	}
	output := json.NewEncoder(os.Stdout)
	for _, client := range answer.GetConfig() {
		for _, each := range client.GetGenericXdsConfigs() {
			if config := each.GetXdsConfig(); config != nil {
				if _, err := config.UnmarshalNew(); err != nil {
					log.Fatal(err)
				}
			}
			output.Encode(resource{
				Scope:   client.GetClientScope(),
				Node:    client.GetNode().GetId(),
				Type:    each.GetTypeUrl(),
				Name:    each.GetName(),
				Version: each.GetVersionInfo(),
				Status:  each.GetClientStatus().String(),
				Updated: each.GetLastUpdated().GetSeconds(),
				Config:  base64.StdEncoding.EncodeToString(each.GetXdsConfig().GetValue()),
				Problem: each.GetErrorState().GetDetails(),
				Refused: each.GetErrorState().GetVersionInfo(),
				Servers: len(servers.GetServer()),
			})
		}
	}
}

func serve(target string) {
	connection := dial(target)
	connection.Connect()
	server := grpc.NewServer()
	cleanup, err := admin.Register(server)
	if err != nil {
		log.Fatal(err)
	}
	defer cleanup()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	log.Fatal(server.Serve(listener))
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("csds dump ADDRESS | csds serve TARGET")
	}
	switch os.Args[1] {
	case "dump":
		dump(os.Args[2])
	case "serve":
		serve(os.Args[2])
	}
}
