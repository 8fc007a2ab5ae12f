package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
)

// LoadTLS makes a TLS configuration from Java's ssl.* properties: of the listeners when server is true, else of a client. Key and
// trust stores are JKS, PKCS#12 or PEM files, or PEM text in ssl.keystore.key, ssl.keystore.certificate.chain and
// ssl.truststore.certificates. JKS and PKCS#12 are told apart by content, as Java does.
//
// Without a trust store a client trusts the system's authorities; a server that asks for client certificates needs one. An empty
// ssl.endpoint.identification.algorithm lets a client take a valid certificate of any host. With ssl.keystore.reload=true a server
// reads its key store again when the file has changed.
func LoadTLS(props map[string]string, server bool) (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if err := errors.Join(setVersions(out, props["ssl.enabled.protocols"]), setCiphers(out, props["ssl.cipher.suites"])); err != nil {
		return nil, err
	}
	keys, err := keyStoreOf(props)
	if err != nil {
		return nil, err
	}
	trust, err := trustStoreOf(props)
	if err != nil {
		return nil, err
	}
	if server {
		return out, serverSide(out, props, keys, trust)
	}
	if keys != nil {
		out.Certificates = []tls.Certificate{*keys}
	}
	out.RootCAs = trust
	if algorithm, ok := props["ssl.endpoint.identification.algorithm"]; ok {
		return out, setHostCheck(out, algorithm)
	}
	return out, nil
}

func serverSide(out *tls.Config, props map[string]string, keys *tls.Certificate, trust *x509.CertPool) error {
	if keys == nil {
		return errors.New("ssl.keystore.location is required: an https listener needs a certificate")
	}
	out.Certificates = []tls.Certificate{*keys}
	if strings.EqualFold(props["ssl.keystore.reload"], "true") {
		out.Certificates, out.GetCertificate = nil, newReloader(props, keys).certificate
	}
	out.ClientCAs = trust
	switch asked := strings.ToUpper(props["ssl.client.authentication"]); asked {
	case "", "NONE":
		return nil
	case "REQUESTED":
		out.ClientAuth = tls.VerifyClientCertIfGiven
	case "REQUIRED":
		out.ClientAuth = tls.RequireAndVerifyClientCert
	default:
		return fmt.Errorf("ssl.client.authentication=%s is none of NONE, REQUESTED, REQUIRED", asked)
	}
	if trust == nil {
		return errors.New("ssl.truststore.location is required: ssl.client.authentication needs to know which certificates to accept")
	}
	return nil
}

func setHostCheck(out *tls.Config, algorithm string) error {
	switch {
	case strings.EqualFold(algorithm, "https"):
		return nil
	case algorithm != "":
		return fmt.Errorf("ssl.endpoint.identification.algorithm=%s is neither https nor empty", algorithm)
	}
	roots := out.RootCAs
	// Go couples the check of the name with that of the chain. The chain is still checked: here.
	out.InsecureSkipVerify = true // what the operator asks for; VerifyConnection checks the chain
	out.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the broker shows no certificate")
		}
		between := x509.NewCertPool()
		for _, cert := range state.PeerCertificates[1:] {
			between.AddCert(cert)
		}
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
		return err
	}
	return nil
}

var tlsVersions = []struct {
	name    string
	version uint16
}{{"TLSv1", tls.VersionTLS10}, {"TLSv1.1", tls.VersionTLS11}, {"TLSv1.2", tls.VersionTLS12}, {"TLSv1.3", tls.VersionTLS13}}

// setVersions turns a list of versions into the range that Go has. A list with a hole would enable what it leaves out.
func setVersions(out *tls.Config, names string) error {
	asked := make([]bool, len(tlsVersions))
	low, high, count := len(tlsVersions), -1, 0
	for _, name := range commaList(names) {
		at := -1
		for i, v := range tlsVersions {
			if strings.EqualFold(v.name, name) {
				at = i
			}
		}
		if at < 0 {
			return fmt.Errorf("ssl.enabled.protocols: %q is none of TLSv1, TLSv1.1, TLSv1.2, TLSv1.3", name)
		}
		if !asked[at] {
			asked[at] = true
			count++
		}
		low, high = min(low, at), max(high, at)
	}
	if count == 0 {
		return nil
	}
	if high-low+1 != count {
		return fmt.Errorf("ssl.enabled.protocols=%s leaves out a version in between, which is not possible here", names)
	}
	out.MinVersion, out.MaxVersion = tlsVersions[low].version, tlsVersions[high].version
	return nil
}

// setCiphers takes IANA names, which are Java's and Go's. The suites of TLS 1.3 cannot be chosen among, so their presence in the list
// says whether TLS 1.3 is spoken, and their being alone that nothing else is.
func setCiphers(out *tls.Config, names string) error {
	byName := map[string]*tls.CipherSuite{}
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		byName[suite.Name] = suite
	}
	modern := false
	for _, name := range commaList(names) {
		suite, ok := byName[name]
		if !ok {
			return fmt.Errorf("ssl.cipher.suites: %q is not a suite that this program has", name)
		}
		if suite.SupportedVersions[0] == tls.VersionTLS13 {
			modern = true
		} else {
			out.CipherSuites = append(out.CipherSuites, suite.ID)
		}
	}
	switch {
	case len(out.CipherSuites) == 0 && modern:
		out.MinVersion = tls.VersionTLS13
	case len(out.CipherSuites) > 0 && !modern && (out.MaxVersion == 0 || out.MaxVersion > tls.VersionTLS12):
		out.MaxVersion = tls.VersionTLS12
	}
	if out.MaxVersion != 0 && out.MaxVersion < out.MinVersion {
		return errors.New("ssl.cipher.suites has no suite for the versions in ssl.enabled.protocols")
	}
	return nil
}

func commaList(s string) []string {
	var out []string
	for element := range strings.SplitSeq(s, ",") {
		if element = strings.TrimSpace(element); element != "" {
			out = append(out, element)
		}
	}
	return out
}
