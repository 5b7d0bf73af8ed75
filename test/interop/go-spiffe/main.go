// Peers by go-spiffe: every line of standard input is a command as a JSON object, and is answered by a line {"value", "error"} on
// standard output. It is the agent of workloads, with the authorities of their trust domains, and a client and a server by mutual TLS.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strings"
	"sync"
)

type command struct {
	Do          string   `json:"do"`
	Socket      string   `json:"socket"`
	IDs         []string `json:"ids"`
	Federated   []string `json:"federated"`
	ByRoot      bool     `json:"byRoot"`
	TrustDomain string   `json:"trustDomain"`
	Authorize   string   `json:"authorize"`
	URL         string   `json:"url"`
	Chain       string   `json:"chain"`
	Key         string   `json:"key"`
	Roots       string   `json:"roots"`
}

type answer struct {
	Value string `json:"value"`
	Error string `json:"error"`
}

// All there is: authorities by trust domain, and agents by their sockets.
type world struct {
	lock        sync.Mutex
	authorities map[string]*authority
	agents      map[string]*agent
}

var silent = log.New(io.Discard, "", 0)

func listen() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

func portOf(listener net.Listener) string { return fmt.Sprint(listener.Addr().(*net.TCPAddr).Port) }

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func trustDomainOf(id string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(id, "spiffe://"), "/")
	return name
}

// The authority of a trust domain, made when it is first asked for.
func (w *world) authorityOf(trustDomain string) (*authority, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if known, found := w.authorities[trustDomain]; found {
		return known, nil
	}
	made, err := newAuthority(trustDomain)
	w.authorities[trustDomain] = made
	return made, err
}

// Gives what is granted there again, with new keys.
func (w *world) giveAgain() {
	for _, each := range w.agents {
		current, _ := each.now()
		each.give(current)
	}
}

func (w *world) run(c command) (string, error) {
	switch c.Do {
	case "grant", "refuse":
		next := grant{ids: c.IDs, federated: c.Federated, byRoot: c.ByRoot, refused: c.Do == "refuse"}
		if known, found := w.agents[c.Socket]; found {
			known.give(next)
			return "", nil
		}
		started, err := w.startAgent(c.Socket, next)
		w.agents[c.Socket] = started
		return "", err
	case "add-root", "forget-roots":
		known, err := w.authorityOf(c.TrustDomain)
		if err != nil {
			return "", err
		}
		if c.Do == "forget-roots" {
			known.forgetRoots()
		} else if err := known.addRoot(); err != nil {
			return "", err
		}
		w.giveAgain()
		return "", nil
	case "serve":
		return serve(c.Socket, c.Authorize)
	case "get":
		return get(c.Socket, c.Authorize, c.URL)
	case "verify":
		return verify(c.Chain, c.Key, c.Roots, c.TrustDomain)
	case "fetch":
		return fetch(c.URL, c.TrustDomain, c.Roots, c.Authorize)
	}
	return "", fmt.Errorf("no such command: %s", c.Do)
}

func main() {
	all := &world{authorities: map[string]*authority{}, agents: map[string]*agent{}}
	output := json.NewEncoder(os.Stdout)
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 16<<20)
	for input.Scan() {
		var next command
		if err := json.Unmarshal(input.Bytes(), &next); err != nil {
			log.Fatal(fmt.Errorf("a line that is not a command: %w", err))
		}
		value, err := all.run(next)
		if err := output.Encode(answer{value, errorText(err)}); err != nil {
			log.Fatal(err)
		}
	}
}
