package kafka

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"software.sslmate.com/src/go-pkcs12"
)

// keyStoreOf is the certificate and key that the properties name, or nil when they name none.
func keyStoreOf(props map[string]string) (*tls.Certificate, error) {
	location, inline := props["ssl.keystore.location"], props["ssl.keystore.key"]
	storePassword := props["ssl.keystore.password"]
	keyPassword := cmp.Or(props["ssl.key.password"], storePassword)
	switch {
	case location != "" && inline != "":
		return nil, errors.New("ssl.keystore.location and ssl.keystore.key are both set: use one")
	case inline != "":
		cert, err := pemKeyPair([]byte(inline+"\n"+props["ssl.keystore.certificate.chain"]), props["ssl.key.password"])
		return named(cert, err, "ssl.keystore.key")
	case location == "":
		return nil, nil // no store is not an error
	}
	data, err := openStore("ssl.keystore", props)
	if err != nil {
		return nil, err
	}
	var cert *tls.Certificate
	switch formatOf(data) {
	case formatJKS:
		cert, err = jksKeyPair(data, storePassword, keyPassword)
	case formatPKCS12:
		cert, err = pkcs12KeyPair(data, storePassword)
	case formatPEM:
		cert, err = pemKeyPair(data, props["ssl.key.password"])
	default:
		err = errFormat
	}
	return named(cert, err, "ssl.keystore.location="+location)
}

// trustStoreOf is the authorities that the properties name, or nil when they name none.
func trustStoreOf(props map[string]string) (*x509.CertPool, error) {
	location, inline, password := props["ssl.truststore.location"], props["ssl.truststore.certificates"], props["ssl.truststore.password"]
	var certs []*x509.Certificate
	var err error
	what := "ssl.truststore.location=" + location
	switch {
	case location != "" && inline != "":
		return nil, errors.New("ssl.truststore.location and ssl.truststore.certificates are both set: use one")
	case inline != "":
		what = "ssl.truststore.certificates"
		certs, err = pemCertificates([]byte(inline))
	case location == "":
		return nil, nil // no store is not an error
	default:
		certs, err = trustedIn(props, password)
	}
	if err == nil && len(certs) == 0 {
		err = errors.New("holds no trusted certificate")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	pool := x509.NewCertPool()
	for _, cert := range certs {
		pool.AddCert(cert)
	}
	return pool, nil
}

func trustedIn(props map[string]string, password string) ([]*x509.Certificate, error) {
	data, err := openStore("ssl.truststore", props)
	if err != nil {
		return nil, err
	}
	switch formatOf(data) {
	case formatJKS:
		return jksTrusted(data, password)
	case formatPKCS12:
		return pkcs12.DecodeTrustStore(data, password)
	case formatPEM:
		return pemCertificates(data)
	}
	return nil, errFormat
}

func named[T any](value *T, err error, what string) (*T, error) {
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return value, nil
}

type storeFormat int

const (
	formatUnknown storeFormat = iota
	formatJKS
	formatPKCS12
	formatPEM
)

var errFormat = errors.New("is neither a JKS nor a PKCS#12 nor a PEM file")

// formatOf looks at the content. The configured type is not enough: Java opens a PKCS#12 file of type JKS, and people rely on it.
func formatOf(data []byte) storeFormat {
	switch {
	case bytes.HasPrefix(data, []byte{0xfe, 0xed, 0xfe, 0xed}):
		return formatJKS
	case bytes.HasPrefix(data, []byte{0x30}):
		return formatPKCS12
	case bytes.Contains(data, []byte("-----BEGIN ")):
		return formatPEM
	}
	return formatUnknown
}

const maxStoreBytes = 16 << 20

// openStore reads prefix.location, after a look at prefix.type: one that cannot be read here is told by name.
func openStore(prefix string, props map[string]string) ([]byte, error) {
	if kind := props[prefix+".type"]; kind != "" && !slices.Contains([]string{"JKS", "PKCS12", "PEM"}, strings.ToUpper(kind)) {
		return nil, fmt.Errorf("%s.type=%s is none of JKS, PKCS12, PEM", prefix, kind)
	}
	name := props[prefix+".location"]
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("%s.location: %w", prefix, err)
	}
	if info.Size() > maxStoreBytes {
		return nil, fmt.Errorf("%s.location: %s has more than %d bytes", prefix, name, maxStoreBytes)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%s.location: %w", prefix, err)
	}
	return data, nil
}

func jksKeyPair(data []byte, storePassword, keyPassword string) (*tls.Certificate, error) {
	store := keystore.New(keystore.WithOrderedAliases(), keystore.WithCaseExactAliases())
	if err := store.Load(bytes.NewReader(data), []byte(storePassword)); err != nil {
		return nil, fmt.Errorf("cannot be opened with ssl.keystore.password: %w", err)
	}
	for _, alias := range store.Aliases() {
		if !store.IsPrivateKeyEntry(alias) {
			continue
		}
		entry, err := store.GetPrivateKeyEntry(alias, []byte(keyPassword))
		if err != nil {
			return nil, fmt.Errorf("its key cannot be opened with ssl.key.password: %w", err)
		}
		key, err := x509.ParsePKCS8PrivateKey(entry.PrivateKey)
		if err != nil {
			return nil, err
		}
		var certs []*x509.Certificate
		for _, c := range entry.CertificateChain {
			cert, err := x509.ParseCertificate(c.Content)
			if err != nil {
				return nil, err
			}
			certs = append(certs, cert)
		}
		return keyPair(key, certs)
	}
	return nil, errors.New("holds no private key")
}

// jksTrusted reads the trusted certificates. Without a password Java reads them unchecked, so this does too.
func jksTrusted(data []byte, password string) ([]*x509.Certificate, error) {
	store := keystore.New(keystore.WithOrderedAliases(), keystore.WithCaseExactAliases())
	if err := store.Load(bytes.NewReader(data), []byte(password)); err != nil && (password != "" || len(store.Aliases()) == 0) {
		return nil, fmt.Errorf("cannot be opened with ssl.truststore.password: %w", err)
	}
	var out []*x509.Certificate
	for _, alias := range store.Aliases() {
		entry, err := store.GetTrustedCertificateEntry(alias)
		if errors.Is(err, keystore.ErrWrongEntryType) {
			continue
		}
		if err != nil {
			return nil, err
		}
		cert, err := x509.ParseCertificate(entry.Certificate.Content)
		if err != nil {
			return nil, err
		}
		out = append(out, cert)
	}
	return out, nil
}

func pkcs12KeyPair(data []byte, password string) (*tls.Certificate, error) {
	key, cert, others, err := pkcs12.DecodeChain(data, password)
	if err != nil {
		return nil, fmt.Errorf("cannot be opened with ssl.keystore.password: %w", err)
	}
	return keyPair(key, append([]*x509.Certificate{cert}, others...))
}

// keyPair finds the key's own certificate and those that lead from it to an authority. Stores hold them in any order, and others too.
func keyPair(key any, certs []*x509.Certificate) (*tls.Certificate, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("its key is a %T, which cannot sign", key)
	}
	public, ok := signer.Public().(interface {
		Equal(other crypto.PublicKey) bool
	})
	if !ok {
		return nil, fmt.Errorf("its key is a %T, which cannot be compared", key)
	}
	at := slices.IndexFunc(certs, func(c *x509.Certificate) bool { return public.Equal(c.PublicKey) })
	if at < 0 {
		return nil, errors.New("holds no certificate for its key")
	}
	out := &tls.Certificate{PrivateKey: key, Leaf: certs[at]}
	for next := certs[at]; next != nil && len(out.Certificate) < len(certs); next = issuerOf(next, certs) {
		out.Certificate = append(out.Certificate, next.Raw)
	}
	return out, nil
}

// issuerOf is nil for a certificate that signs itself.
func issuerOf(cert *x509.Certificate, among []*x509.Certificate) *x509.Certificate {
	if bytes.Equal(cert.RawIssuer, cert.RawSubject) {
		return nil
	}
	at := slices.IndexFunc(among, func(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, cert.RawIssuer) })
	if at < 0 {
		return nil
	}
	return among[at]
}
