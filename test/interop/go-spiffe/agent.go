package main

import (
	"crypto/x509"
	"net"
	"os"
	"sync"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// What a workload is given.
type grant struct {
	ids       []string
	federated []string
	byRoot    bool
	refused   bool
}

// The Workload API of one workload, on a socket of its own.
type agent struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	world   *world
	lock    sync.Mutex
	grant   grant
	changed chan struct{}
}

func (w *world) startAgent(socket string, first grant) (*agent, error) {
	_ = os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	started := &agent{world: w, grant: first, changed: make(chan struct{})}
	server := grpc.NewServer()
	workload.RegisterSpiffeWorkloadAPIServer(server, started)
	go func() { _ = server.Serve(listener) }()
	return started, nil
}

// Every stream is told what is so from now on.
func (a *agent) give(next grant) {
	a.lock.Lock()
	defer a.lock.Unlock()
	a.grant = next
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *agent) now() (grant, <-chan struct{}) {
	a.lock.Lock()
	defer a.lock.Unlock()
	return a.grant, a.changed
}

func (a *agent) FetchX509SVID(_ *workload.X509SVIDRequest, stream workload.SpiffeWorkloadAPI_FetchX509SVIDServer) error {
	header, _ := metadata.FromIncomingContext(stream.Context())
	if values := header.Get("workload.spiffe.io"); len(values) != 1 || values[0] != "true" {
		return status.Error(codes.InvalidArgument, "security header missing from request")
	}
	for {
		current, changed := a.now()
		if current.refused {
			return status.Error(codes.PermissionDenied, "no identity issued")
		}
		answer, err := a.world.answer(current)
		if err != nil {
			return err
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return nil
		}
	}
}

// Everything that is granted: new keys, and the bundles as they are.
func (w *world) answer(current grant) (*workload.X509SVIDResponse, error) {
	answer := &workload.X509SVIDResponse{FederatedBundles: map[string][]byte{}}
	for _, id := range current.ids {
		signer, err := w.authorityOf(trustDomainOf(id))
		if err != nil {
			return nil, err
		}
		chain, key, err := signer.leaf(id, current.byRoot)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		one := &workload.X509SVID{SpiffeId: id, X509Svid: chain, X509SvidKey: der, Bundle: signer.bundle(), Hint: "internal"}
		answer.Svids = append(answer.Svids, one)
	}
	for _, name := range current.federated {
		other, err := w.authorityOf(name)
		if err != nil {
			return nil, err
		}
		answer.FederatedBundles["spiffe://"+name] = other.bundle()
	}
	return answer, nil
}
