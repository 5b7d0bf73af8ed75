// Istio's discovery server over plain TCP, fed by one YAML file: istiod ADDRESS FILE.
package main

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"time"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/mesh"
)

// The fake discovery server wants a test to belong to; this one ends the process where a test would fail.
type process struct{}

func die(a ...any)                       { fmt.Fprintln(os.Stderr, a...); os.Exit(1) }
func (process) Fail()                    { die("failed") }
func (process) FailNow()                 { die("failed") }
func (process) Fatal(a ...any)           { die(a...) }
func (process) Fatalf(f string, a ...any) { die(fmt.Sprintf(f, a...)) }
func (process) Log(...any)               {}
func (process) Logf(string, ...any)      {}
func (process) Helper()                  {}
func (process) Cleanup(func())           {}
func (process) Skip(...any)              { os.Exit(0) }
func (process) TempDir() string {
	dir, err := os.MkdirTemp("", "istiod")
	if err != nil {
		die(err)
	}
	return dir
}

func main() {
	address, file := os.Args[1], os.Args[2]
	text, err := os.ReadFile(file)
	if err != nil {
		die(err)
	}
	var configs []config.Config
	for _, document := range regexp.MustCompile(`(?m)^---\s*$`).Split(string(text), -1) {
		parsed, _, err := crd.ParseInputs(document)
		if err != nil {
			die(err, document)
		}
		for _, one := range parsed {
			one.Domain = "cluster.local"
			one.CreationTimestamp = time.Now()
			configs = append(configs, one)
		}
	}
	meshConfig := mesh.DefaultMeshConfig()
	meshConfig.EnableAutoMtls.Value = false
	xds.NewFakeDiscoveryServer(process{}, xds.FakeOptions{
		Configs:         configs,
		MeshConfig:      meshConfig,
		ListenerBuilder: func() (net.Listener, error) { return net.Listen("tcp", address) },
	})
	fmt.Println("serving", address)
	select {}
}
