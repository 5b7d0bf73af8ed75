// grpc-go's interop TestService with features that its own interop server leaves out: requests that must be compressed
// (CompressedRequest) and answers that are (CompressedResponse). The bearer token of a call is its username.
//
// With the argument "descriptors" it writes the files of grpc.testing and of ORCA as a FileDescriptorSet and ends.
// Otherwise the first line on standard output is the address that it listens on. The trailer "x-sent-compressed" has
// "true" or "false" for each message of an answer.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	orca "github.com/cncf/xds/go/xds/service/orca/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/interop"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "descriptors" {
		writeDescriptors()
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	server := grpc.NewServer(grpc.StatsHandler(flagRecorder{}))
	testpb.RegisterTestServiceServer(server, compressingServer{interop.NewTestServer()})
	log.Fatal(server.Serve(listener))
}

func writeDescriptors() {
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	add(testpb.File_grpc_testing_test_proto)
	add(orca.File_xds_service_orca_v3_orca_proto)
	bytes, err := proto.Marshal(set)
	if err != nil {
		log.Fatal(err)
	}
	os.Stdout.Write(bytes)
}

// Whether the messages of a call were compressed: grpc-go does not tell its handlers.
type messageFlags struct {
	mu       sync.Mutex
	received []bool
	sent     []string
}

type flagsKey struct{}

// The flag of the next message.
func (f *messageFlags) next() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	flag := f.received[0]
	f.received = f.received[1:]
	return flag
}

func (f *messageFlags) trailer() metadata.MD {
	f.mu.Lock()
	defer f.mu.Unlock()
	return metadata.MD{"x-sent-compressed": f.sent}
}

func flagsOf(ctx context.Context) *messageFlags {
	return ctx.Value(flagsKey{}).(*messageFlags)
}

type flagRecorder struct{}

func (flagRecorder) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, flagsKey{}, &messageFlags{})
}

// Zeros never come out of gzip with the length that they went in with.
func (flagRecorder) HandleRPC(ctx context.Context, event stats.RPCStats) {
	flags := flagsOf(ctx)
	switch event := event.(type) {
	case *stats.InPayload:
		flags.mu.Lock()
		defer flags.mu.Unlock()
		flags.received = append(flags.received, event.CompressedLength != event.Length)
	case *stats.OutPayload:
		flags.mu.Lock()
		flags.sent = append(flags.sent, strconv.FormatBool(event.CompressedLength != event.Length))
		flags.mu.Unlock()
		// A unary handler is over by now. The context of a stream is not one for trailers.
		grpc.SetTrailer(ctx, flags.trailer())
	}
}

func (flagRecorder) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (flagRecorder) HandleConn(context.Context, stats.ConnStats)                       {}

type compressingServer struct {
	testpb.TestServiceServer
}

// What follows "Bearer" in the one authorization header.
func bearer(ctx context.Context) string {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) != 1 {
		return ""
	}
	return strings.TrimPrefix(values[0], "Bearer ")
}

func check(ctx context.Context, expected *testpb.BoolValue) error {
	compressed := flagsOf(ctx).next()
	if expected != nil && expected.Value != compressed {
		return status.Errorf(codes.InvalidArgument, "expected compressed: %v, was: %v", expected.Value, compressed)
	}
	return nil
}

func (s compressingServer) UnaryCall(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if err := check(ctx, in.ExpectCompressed); err != nil {
		return nil, err
	}
	encoding := "identity"
	if in.ResponseCompressed.GetValue() {
		encoding = gzip.Name
	}
	if err := grpc.SetSendCompressor(ctx, encoding); err != nil {
		return nil, err
	}
	answer, err := s.TestServiceServer.UnaryCall(ctx, in)
	if err == nil && in.FillUsername {
		answer.Username = bearer(ctx)
	}
	return answer, err
}

func (s compressingServer) StreamingInputCall(stream testpb.TestService_StreamingInputCallServer) error {
	sum := 0
	for {
		in, err := stream.Recv()
		if err == io.EOF {
			return stream.SendAndClose(&testpb.StreamingInputCallResponse{AggregatedPayloadSize: int32(sum)})
		}
		if err != nil {
			return err
		}
		if err := check(stream.Context(), in.ExpectCompressed); err != nil {
			return err
		}
		sum += len(in.GetPayload().GetBody())
	}
}

func (s compressingServer) StreamingOutputCall(in *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
	if err := grpc.SetSendCompressor(stream.Context(), gzip.Name); err != nil {
		return err
	}
	for _, parameters := range in.ResponseParameters {
		answer := &testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: make([]byte, parameters.Size)}}
		var message any = answer
		if !parameters.Compressed.GetValue() {
			// A message prepared is encoded as the stream began: without a compressor.
			prepared := &grpc.PreparedMsg{}
			if err := prepared.Encode(stream, answer); err != nil {
				return err
			}
			message = prepared
		}
		if err := stream.SendMsg(message); err != nil {
			return err
		}
	}
	stream.SetTrailer(flagsOf(stream.Context()).trailer())
	return nil
}
