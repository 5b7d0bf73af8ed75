// A client of grpc-go by xds:///: every line of standard input is a JSON object {"parallel": N, "calls": [...]}, and every call
// is answered by a line on standard output. Requests and answers are text, without protobuf. It speaks TLS where xDS says so.
// With "serve ADDRESS" it is a server instead.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/credentials/xds"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	_ "google.golang.org/grpc/xds"
)

type call struct {
	ID         string            `json:"id"`
	Target     string            `json:"target"`
	Method     string            `json:"method"`
	Metadata   map[string]string `json:"metadata"`
	DeadlineMs int               `json:"deadlineMs"`
}

type answer struct {
	ID        string  `json:"id"`
	Reply     string  `json:"reply"`
	Code      int     `json:"code"`
	Message   string  `json:"message"`
	Version   string  `json:"version"`
	Peer      string  `json:"peer"`
	ElapsedMs float64 `json:"elapsedMs"`
}

type batch struct {
	Parallel int    `json:"parallel"`
	Calls    []call `json:"calls"`
}

// text is a codec that leaves strings as they are, without a name, which would be part of the content type.
type text struct{}

func (text) Name() string                           { return "" }
func (text) Marshal(message any) ([]byte, error)    { return []byte(*message.(*string)), nil }
func (text) Unmarshal(bytes []byte, into any) error { *into.(*string) = string(bytes); return nil }

// connections has a channel for each target.
type connections map[string]*grpc.ClientConn

func (all connections) to(target string) *grpc.ClientConn {
	if connection, found := all[target]; found {
		return connection
	}
	security, err := xds.NewClientCredentials(xds.ClientOptions{FallbackCreds: insecure.NewCredentials()})
	if err != nil {
		log.Fatal(err)
	}
	connection, err := grpc.NewClient(target,
		grpc.WithTransportCredentials(security),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(text{})))
	if err != nil {
		log.Fatal(err)
	}
	all[target] = connection
	return connection
}

func (c call) make(connection *grpc.ClientConn) answer {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(c.DeadlineMs)*time.Millisecond)
	defer cancel()
	ctx = metadata.NewOutgoingContext(ctx, metadata.New(c.Metadata))
	var trailer metadata.MD
	var from peer.Peer
	request, reply := c.ID, ""
	began := time.Now()
	err := connection.Invoke(ctx, c.Method, &request, &reply, grpc.Trailer(&trailer), grpc.Peer(&from))
	result := answer{
		ID:        c.ID,
		Reply:     reply,
		Code:      int(status.Code(err)),
		Message:   status.Convert(err).Message(),
		ElapsedMs: float64(time.Since(began).Microseconds()) / 1000,
	}
	if version := trailer.Get("x-version"); len(version) > 0 {
		result.Version = version[0]
	}
	if from.Addr != nil {
		result.Peer = from.Addr.String()
	}
	return result
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "serve" {
		serve(os.Args[2])
		return
	}
	all := connections{}
	output := json.NewEncoder(os.Stdout)
	var writing sync.Mutex
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 16<<20)
	for input.Scan() {
		var next batch
		if err := json.Unmarshal(input.Bytes(), &next); err != nil {
			log.Fatal(fmt.Errorf("a line that is not a batch: %w", err))
		}
		var running sync.WaitGroup
		slots := make(chan struct{}, max(next.Parallel, 1))
		for _, each := range next.Calls {
			connection := all.to(each.Target)
			slots <- struct{}{}
			running.Go(func() {
				defer func() { <-slots }()
				result := each.make(connection)
				writing.Lock()
				defer writing.Unlock()
				if err := output.Encode(result); err != nil {
					log.Fatal(err)
				}
			})
		}
		running.Wait()
	}
}
