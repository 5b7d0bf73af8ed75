// Istio's discovery server over plain TCP, fed by one YAML file: istiod ADDRESS FILE. On SIGHUP documents of Istio are read again; those of
// Kubernetes and of the Gateway API are as they were.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/schema/gatewayapi"
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

// What Istio asks Kubernetes for; a ServiceEntry, when a route is bound to it, as well as its own store.
var ofKubernetes = regexp.MustCompile(`(?m)^apiVersion: *(v1|discovery\.k8s\.io/v1|gateway\.networking\.k8s\.io/\S+)$`)

// The documents of Istio in a file, the text of each by the name of what it holds, and the text of the documents of Kubernetes.
func read(file string) ([]config.Config, map[string]text, string) {
	bytes, err := os.ReadFile(file)
	if err != nil {
		die(err)
	}
	var configs []config.Config
	texts := map[string]text{}
	var objects []string
	serviceEntry := regexp.MustCompile(`(?m)^kind: *ServiceEntry$`)
	for _, document := range regexp.MustCompile(`(?m)^---\s*$`).Split(string(bytes), -1) {
		if ofKubernetes.MatchString(document) {
			objects = append(objects, document)
			continue
		}
		if serviceEntry.MatchString(document) {
			objects = append(objects, document)
		}
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
	return configs, texts, strings.Join(objects, "\n---\n")
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
	configs, held, objects := read(file)
	// The fake client's definitions do not say of which version of the Gateway API they are.
	delete(gatewayapi.MinimumCRDVersions, "grpcroutes.gateway.networking.k8s.io")
	meshConfig := mesh.DefaultMeshConfig()
	meshConfig.EnableAutoMtls.Value = false
	server := xds.NewFakeDiscoveryServer(process{}, xds.FakeOptions{
		Configs:                configs,
		KubernetesObjectString: objects,
		MeshConfig:             meshConfig,
		ListenerBuilder:        func() (net.Listener, error) { return net.Listen("tcp", address) },
	})
	fmt.Println("serving", address)
	for range changes {
		configs, texts, _ := read(file)
		replace(server.Store(), held, configs, texts)
		held = texts
	}
}
