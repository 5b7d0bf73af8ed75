package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/url"
	"sync"
	"time"
)

// A certificate and its key.
type pair struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// The authority of a trust domain: its roots, the newest last, and under each a certificate that signs the leaves.
type authority struct {
	lock        sync.Mutex
	trustDomain string
	roots       []pair
	signer      pair
}

func newAuthority(trustDomain string) (*authority, error) {
	made := &authority{trustDomain: trustDomain}
	return made, made.addRoot()
}

// From now on leaves are signed under another root, beside which the old ones stay in the bundle.
func (a *authority) addRoot() error {
	a.lock.Lock()
	defer a.lock.Unlock()
	root, err := issue(a.template("root", "spiffe://"+a.trustDomain, true), nil)
	if err != nil {
		return err
	}
	signer, err := issue(a.template("signer", "spiffe://"+a.trustDomain, true), &root)
	if err != nil {
		return err
	}
	a.roots, a.signer = append(a.roots, root), signer
	return nil
}

// The newest root alone is left.
func (a *authority) forgetRoots() {
	a.lock.Lock()
	defer a.lock.Unlock()
	a.roots = a.roots[len(a.roots)-1:]
}

// A leaf, which comes with the certificate of who signed it unless that is the root.
func (a *authority) leaf(id string, byRoot bool) (chain []byte, key *ecdsa.PrivateKey, err error) {
	a.lock.Lock()
	defer a.lock.Unlock()
	signer := &a.signer
	if byRoot {
		signer = &a.roots[len(a.roots)-1]
	}
	leaf, err := issue(a.template("leaf", id, false), signer)
	if err != nil || byRoot {
		return rawOf(leaf), leaf.key, err
	}
	return append(leaf.certificate.Raw, a.signer.certificate.Raw...), leaf.key, nil
}

func rawOf(signed pair) []byte {
	if signed.certificate == nil {
		return nil
	}
	return signed.certificate.Raw
}

// The bundle, in DER.
func (a *authority) bundle() (all []byte) {
	a.lock.Lock()
	defer a.lock.Unlock()
	for _, root := range a.roots {
		all = append(all, root.certificate.Raw...)
	}
	return all
}

func (a *authority) template(name, id string, isAuthority bool) *x509.Certificate {
	uri, err := url.Parse(id)
	if err != nil {
		panic(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{a.trustDomain}, CommonName: name + " " + serial.String()},
		URIs:                  []*url.URL{uri},
		NotBefore:             time.Now().Add(-time.Minute),
		NotAfter:              time.Now().Add(time.Hour),
		BasicConstraintsValid: true,
		IsCA:                  isAuthority,
		KeyUsage:              x509.KeyUsageDigitalSignature,
	}
	if isAuthority {
		template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	} else {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	return template
}

// A certificate that the parent signs, or that signs itself.
func issue(template *x509.Certificate, parent *pair) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, err
	}
	if parent == nil {
		parent = &pair{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.certificate, &key.PublicKey, parent.key)
	if err != nil {
		return pair{}, err
	}
	certificate, err := x509.ParseCertificate(der)
	return pair{certificate, key}, err
}
