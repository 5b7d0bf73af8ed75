package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/federation"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// The identity of a workload, kept up to date by go-spiffe's own client of the Workload API.
func source(socket string) (*workloadapi.X509Source, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return workloadapi.NewX509Source(ctx, workloadapi.WithClientOptions(workloadapi.WithAddr("unix://"+socket)))
}

func authorizer(id string) (tlsconfig.Authorizer, error) {
	if id == "" {
		return tlsconfig.AuthorizeAny(), nil
	}
	parsed, err := spiffeid.FromString(id)
	return tlsconfig.AuthorizeID(parsed), err
}

// Serves over mutual TLS, to whom it authorizes, the SPIFFE ID of who calls; gives the port.
func serve(socket, authorized string) (string, error) {
	own, err := source(socket)
	if err != nil {
		return "", err
	}
	allowed, err := authorizer(authorized)
	if err != nil {
		return "", err
	}
	listener, err := listen()
	if err != nil {
		return "", err
	}
	server := &http.Server{
		TLSConfig: tlsconfig.MTLSServerConfig(own, own, allowed),
		Handler: http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
			id, err := x509svid.IDFromCert(request.TLS.PeerCertificates[0])
			writer.Header().Set("connection", "close")
			fmt.Fprint(writer, id, errorText(err))
		}),
		ErrorLog: silent,
	}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	return portOf(listener), nil
}

// Asks a server that must be the authorized one, on a connection of its own.
func get(socket, authorized, url string) (string, error) {
	own, err := source(socket)
	if err != nil {
		return "", err
	}
	defer own.Close()
	allowed, err := authorizer(authorized)
	if err != nil {
		return "", err
	}
	transport := &http.Transport{TLSClientConfig: tlsconfig.MTLSClientConfig(own, own, allowed), DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return fmt.Sprint(response.StatusCode, " ", string(body)), err
}

// The SPIFFE ID of an SVID in PEM, by everything that go-spiffe asks of one.
func verify(chain, key, roots, trustDomain string) (string, error) {
	if _, err := x509svid.Parse([]byte(chain), []byte(key)); err != nil {
		return "", err
	}
	domain, err := spiffeid.TrustDomainFromString(trustDomain)
	if err != nil {
		return "", err
	}
	bundle, err := x509bundle.Parse(domain, []byte(roots))
	if err != nil {
		return "", err
	}
	var raw [][]byte
	for block, rest := pem.Decode([]byte(chain)); block != nil; block, rest = pem.Decode(rest) {
		raw = append(raw, block.Bytes)
	}
	id, _, err := x509svid.ParseAndVerify(raw, bundle)
	return id.String(), err
}

// The roots of a SPIFFE bundle endpoint, in PEM, by the profile https_web with roots or https_spiffe with the identity of the endpoint.
func fetch(url, trustDomain, roots, endpointID string) (string, error) {
	domain, err := spiffeid.TrustDomainFromString(trustDomain)
	if err != nil {
		return "", err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(roots)) {
		return "", errors.New("no roots")
	}
	option := federation.WithWebPKIRoots(pool)
	if endpointID != "" {
		bundle, err := x509bundle.Parse(domain, []byte(roots))
		if err != nil {
			return "", err
		}
		id, err := spiffeid.FromString(endpointID)
		if err != nil {
			return "", err
		}
		option = federation.WithSPIFFEAuth(bundle, id)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fetched, err := federation.FetchBundle(ctx, domain, url, option)
	if err != nil {
		return "", err
	}
	encoded, err := fetched.X509Bundle().Marshal()
	return strings.TrimSpace(string(encoded)), err
}
