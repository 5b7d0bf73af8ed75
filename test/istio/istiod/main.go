// Istio's discovery server over plain TCP, fed by one YAML file, which is read again on SIGHUP: istiod ADDRESS FILE.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/mesh"
)

// The fake discovery server wants a test to belong to; this one ends the process where a test would fail.
type process struct{}

func die(a ...any)                        { fmt.Fprintln(os.Stderr, a...); os.Exit(1) }
func (process) Fail()                     { die("failed") }
func (process) FailNow()                  { die("failed") }
func (process) Fatal(a ...any)            { die(a...) }
func (process) Fatalf(f string, a ...any) { die(fmt.Sprintf(f, a...)) }
func (process) Log(...any)                {}
func (process) Logf(string, ...any)       {}
func (process) Helper()                   {}
func (process) Cleanup(func())            {}
func (process) Skip(...any)               { os.Exit(0) }
func (process) TempDir() string {
	dir, err := os.MkdirTemp("", "istiod")
	if err != nil {
		die(err)
	}
	return dir
}

// What a document says, and of what.
type text struct {
	kind            config.GroupVersionKind
	name, namespace string
	document        string
}

// The documents of a file, and the text of each by the name of what it holds.
func read(file string) ([]config.Config, map[string]text) {
	bytes, err := os.ReadFile(file)
	if err != nil {
		die(err)
	}
	var configs []config.Config
	texts := map[string]text{}
	for _, document := range regexp.MustCompile(`(?m)^---\s*$`).Split(string(bytes), -1) {
		parsed, _, err := crd.ParseInputs(document)
		if err != nil {
			die(err, document)
		}
		for _, one := range parsed {
			one.Domain = "cluster.local"
			one.CreationTimestamp = time.Now()
			configs = append(configs, one)
			texts[one.Key()] = text{one.GroupVersionKind, one.Name, one.Namespace, document}
		}
	}
	return configs, texts
}

// Makes the store hold these documents, in their order, and no others.
func replace(store model.ConfigStoreController, held map[string]text, configs []config.Config, texts map[string]text) {
	for key, one := range held {
		if _, stays := texts[key]; stays {
			continue
		}
		if err := store.Delete(one.kind, one.name, one.namespace, nil); err != nil {
			die(err)
		}
	}
	for _, one := range configs {
		before, exists := held[one.Key()]
		var err error
		switch {
		case !exists:
			_, err = store.Create(one)
		case before != texts[one.Key()]:
			_, err = store.Update(one)
		}
		if err != nil {
			die(err)
		}
	}
}

func main() {
	address, file := os.Args[1], os.Args[2]
	changes := make(chan os.Signal, 1)
	signal.Notify(changes, syscall.SIGHUP)
	configs, held := read(file)
	meshConfig := mesh.DefaultMeshConfig()
	meshConfig.EnableAutoMtls.Value = false
	server := xds.NewFakeDiscoveryServer(process{}, xds.FakeOptions{
		Configs:         configs,
		MeshConfig:      meshConfig,
		ListenerBuilder: func() (net.Listener, error) { return net.Listen("tcp", address) },
	})
	fmt.Println("serving", address)
	for range changes {
		configs, texts := read(file)
		replace(server.Store(), held, configs, texts)
		held = texts
	}
}
