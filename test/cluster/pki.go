package cluster

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// valid is how long certificates last: longer than any test cluster.
const valid = 10 * 365 * 24 * time.Hour

// user is someone whom the API server knows by a token.
type user struct{ file, name, groups string }

func users() []user {
	return []user{
		{"admin", "admin", "system:masters"},
		{"controllers", "system:kube-controller-manager", ""},
		{"scheduler", "system:kube-scheduler", ""},
		{"kubelet", "system:node:" + nodeName, "system:nodes"},
		{"proxy", "system:kube-proxy", "system:node-proxier"},
	}
}

// trust makes the authority, the API server's certificate, the key that signs
// service accounts' tokens, and a token for each user; once in the cluster's life.
func (c Config) trust() error {
	dir := filepath.Join(c.state(), "pki")
	if _, err := os.Stat(filepath.Join(dir, "tokens.csv")); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}

	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}

	if err := certificates(dir); err != nil {
		return err
	}

	if err := accountKeys(dir); err != nil {
		return err
	}

	// Last: the file that says that all of it is there.
	var tokens bytes.Buffer

	for _, u := range users() {
		random := make([]byte, 16)
		if _, err := rand.Read(random); err != nil {
			return err
		}

		token := hex.EncodeToString(random)
		fmt.Fprintf(&tokens, "%s,%s,%s,%q\n", token, u.name, u.file, u.groups)

		if err := os.WriteFile(filepath.Join(dir, u.file+".token"), []byte(token), 0o600); err != nil {
			return err
		}
	}

	return os.WriteFile(filepath.Join(dir, "tokens.csv"), tokens.Bytes(), 0o600)
}

func certificates(dir string) error {
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shiplog-test-cluster"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(valid),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}

	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}

	if err := certify(dir, "ca", ca, caKey, ca, caKey); err != nil {
		return err
	}

	api := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "kube-apiserver"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP(nodeIP), net.ParseIP(serviceAPI)},
	}

	apiKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}

	return certify(dir, "api", api, apiKey, ca, caKey)
}

func certify(dir, name string, what *x509.Certificate, key *ecdsa.PrivateKey, by *x509.Certificate, byKey *ecdsa.PrivateKey) error {
	cert, err := x509.CreateCertificate(rand.Reader, what, by, key.Public(), byKey)
	if err != nil {
		return err
	}

	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}

	return errors.Join(
		writePEM(filepath.Join(dir, name+".crt"), "CERTIFICATE", cert),
		writePEM(filepath.Join(dir, name+".key"), "EC PRIVATE KEY", private))
}

func accountKeys(dir string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}

	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}

	return errors.Join(
		writePEM(filepath.Join(dir, "accounts.key"), "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)),
		writePEM(filepath.Join(dir, "accounts.pub"), "PUBLIC KEY", public))
}

func writePEM(path, kind string, content []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600)
}

// writeKubeconfig writes a user's way to the API server at a port of loopback.
func (c Config) writeKubeconfig(path, user string, port int) error {
	ca, err := os.ReadFile(c.pki("ca.crt"))
	if err != nil {
		return err
	}

	token, err := os.ReadFile(c.pki(user + ".token"))
	if err != nil {
		return err
	}

	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: shiplog-test
  cluster:
    server: https://127.0.0.1:%d
    certificate-authority-data: %s
users:
- name: %s
  user:
    token: %s
contexts:
- name: shiplog-test
  context: {cluster: shiplog-test, user: %s}
current-context: shiplog-test
`, port, base64.StdEncoding.EncodeToString(ca), user, token, user)

	return os.WriteFile(path, []byte(text), 0o600)
}

func (c Config) pki(file string) string { return filepath.Join(c.state(), "pki", file) }
