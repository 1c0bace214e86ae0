package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// credentials is where everything that proves an identity lies.
type credentials struct {
	server            string
	caFile            string
	certFile          string
	keyFile           string
	serviceAccountKey string
	tokenFile         string
	kubeconfig        string
	limitedKubeconfig string
	admin             *rest.Config
}

// ensureCredentials makes what is absent and keeps what an earlier run left, so that kubeconfigs
// that were handed out go on working when a cluster is started again.
//
// The authority and the server's certificate are two: strict clients (rustls among them) refuse an
// authority's own certificate as a server's.
func ensureCredentials(o *options, server string) (*credentials, error) {
	pki := filepath.Join(o.dir, "pki")
	c := &credentials{
		server:            server,
		caFile:            filepath.Join(pki, "ca.crt"),
		certFile:          filepath.Join(pki, "apiserver.crt"),
		keyFile:           filepath.Join(pki, "apiserver.key"),
		serviceAccountKey: filepath.Join(pki, "service-account.key"),
		tokenFile:         filepath.Join(pki, "tokens.csv"),
		kubeconfig:        filepath.Join(o.dir, "kubeconfig"),
		limitedKubeconfig: filepath.Join(o.dir, "kubeconfig.limited"),
	}
	// The token file is written last: where it exists, all of the rest does.
	if _, err := os.Stat(c.tokenFile); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(pki, 0o700); err != nil {
			return nil, err
		}
		if err := c.generate(o.name); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	return c, c.writeKubeconfigs(o.name)
}

func (c *credentials) generate(name string) error {
	pki := filepath.Dir(c.caFile)
	now := time.Now()
	template := func(serial int64, cn string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial),
			Subject:      pkix.Name{CommonName: cn},
			NotBefore:    now.Add(-time.Hour),
			NotAfter:     now.AddDate(1, 0, 0),
			KeyUsage:     x509.KeyUsageDigitalSignature,
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := template(1, name+"-ca")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return err
	}
	caKeyDER, err := x509.MarshalPKCS8PrivateKey(caKey)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leaf := template(2, "kube-apiserver")
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)}
	leaf.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return err
	}
	serviceAccountKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if err := errors.Join(
		writePEM(c.caFile, "CERTIFICATE", caDER),
		// For tests that sign certificates of clients.
		writePEM(filepath.Join(pki, "ca.key"), "PRIVATE KEY", caKeyDER),
		writePEM(c.certFile, "CERTIFICATE", leafDER),
		writeKey(c.keyFile, key),
		writeKey(c.serviceAccountKey, serviceAccountKey),
	); err != nil {
		return err
	}
	tokens := fmt.Sprintf("%s,admin,admin,system:masters\n%s,limited,limited,limited\n", newToken(), newToken())
	return writeFile(c.tokenFile, []byte(tokens))
}

func (c *credentials) writeKubeconfigs(name string) error {
	data, err := os.ReadFile(c.tokenFile)
	if err != nil {
		return err
	}
	tokens := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		fields := strings.Split(line, ",")
		if len(fields) < 2 {
			return fmt.Errorf("%s: %q is not token,user,…", c.tokenFile, line)
		}
		tokens[fields[1]] = fields[0]
	}
	ca, err := os.ReadFile(c.caFile)
	if err != nil {
		return err
	}
	config := func(context, token string) *clientcmdapi.Config {
		k := clientcmdapi.NewConfig()
		k.Clusters[name] = &clientcmdapi.Cluster{Server: c.server, CertificateAuthorityData: ca}
		k.AuthInfos[context] = &clientcmdapi.AuthInfo{Token: token}
		k.Contexts[context] = &clientcmdapi.Context{Cluster: name, AuthInfo: context}
		k.CurrentContext = context
		return k
	}
	admin := config(name, tokens["admin"])
	if err := errors.Join(
		clientcmd.WriteToFile(*admin, c.kubeconfig),
		clientcmd.WriteToFile(*config(name+"-limited", tokens["limited"]), c.limitedKubeconfig),
	); err != nil {
		return err
	}
	c.admin, err = clientcmd.NewDefaultClientConfig(*admin, nil).ClientConfig()
	return err
}

func newToken() string {
	b := make([]byte, 16)
	rand.Read(b)
	return hex.EncodeToString(b)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "EC PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	return writeFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
