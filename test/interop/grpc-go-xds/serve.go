package main

import (
	"fmt"
	"log"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	xdscredentials "google.golang.org/grpc/credentials/xds"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/xds"
)

// serve answers every call with the SPIFFE ID of who calls, and prints a line whenever it begins or ceases to serve.
func serve(address string) {
	security, err := xdscredentials.NewServerCredentials(xdscredentials.ServerOptions{FallbackCreds: insecure.NewCredentials()})
	if err != nil {
		log.Fatal(err)
	}
	mode := func(bound net.Addr, change xds.ServingModeChangeArgs) {
		fmt.Println(change.Mode, bound, change.Err)
	}
	server, err := xds.NewGRPCServer(
		grpc.Creds(security),
		grpc.ForceServerCodec(text{}),
		grpc.UnknownServiceHandler(whoCalls),
		xds.ServingModeCallback(mode))
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(server.Serve(listener))
}

func whoCalls(_ any, stream grpc.ServerStream) error {
	var request string
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	caller := "nobody"
	from, _ := peer.FromContext(stream.Context())
	if tls, secure := from.AuthInfo.(credentials.TLSInfo); secure {
		caller = "somebody"
		if tls.SPIFFEID != nil {
			caller = tls.SPIFFEID.String()
		}
	}
	return stream.SendMsg(&caller)
}
