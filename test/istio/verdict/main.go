// What Istio says of documents: reads a JSON list of YAML documents, writes a JSON list of lists of errors. Both the schema of the
// custom resources, which an API server applies, and the webhook have their say.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	schema "istio.io/istio/pkg/config/crd"
	"istio.io/istio/pkg/config/schema/collections"
)

// The schema validator wants a test to belong to; this one ends the process where a test would fail.
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
func (process) TempDir() string           { return os.TempDir() }

func main() {
	var documents []string
	if err := json.NewDecoder(os.Stdin).Decode(&documents); err != nil {
		die(err)
	}
	validator := schema.NewIstioValidator(process{})
	verdicts := make([][]string, len(documents))
	for i, document := range documents {
		errors := []string{}
		if err := validator.ValidateCustomResourceYAML(document, nil); err != nil {
			errors = append(errors, err.Error())
		}
		configs, _, err := crd.ParseInputs(document)
		if err != nil {
			errors = append(errors, err.Error())
		}
		for _, config := range configs {
			kind, ok := collections.Pilot.FindByGroupVersionAliasesKind(config.GroupVersionKind)
			if !ok {
				continue
			}
			if _, err := kind.ValidateConfig(config); err != nil {
				errors = append(errors, err.Error())
			}
		}
		verdicts[i] = errors
	}
	if err := json.NewEncoder(os.Stdout).Encode(verdicts); err != nil {
		die(err)
	}
}
