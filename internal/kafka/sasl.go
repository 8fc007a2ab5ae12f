package kafka

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// defaultMechanism is Java's. It is not supported here, so that leaving sasl.mechanism out gives a clear error.
const defaultMechanism = "GSSAPI"

// loginModules are the JAAS login modules by the last part of their class names, each with the mechanisms that it can serve.
var loginModules = map[string][]string{
	"PlainLoginModule":       {"PLAIN"},
	"ScramLoginModule":       {"SCRAM-SHA-256", "SCRAM-SHA-512"},
	"OAuthBearerLoginModule": {"OAUTHBEARER"},
}

// saslMechanism makes the SASL mechanism from sasl.mechanism, sasl.jaas.config and, for OAUTHBEARER, sasl.oauthbearer.*.
func saslMechanism(props map[string]string) (sasl.Mechanism, error) {
	name := strings.ToUpper(props["sasl.mechanism"])
	if name == "" {
		name = defaultMechanism
	}
	switch name {
	case "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512":
		return passwordMechanism(name, props)
	case "OAUTHBEARER":
		return oauthMechanism(props)
	}
	return nil, fmt.Errorf("sasl.mechanism=%s is not supported: use PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER", name)
}

func passwordMechanism(name string, props map[string]string) (sasl.Mechanism, error) {
	login, err := loginFor(name, props)
	if err != nil {
		return nil, err
	}
	user, password := login.Options["username"], login.Options["password"]
	if user == "" || password == "" {
		return nil, errors.New("sasl.jaas.config: username and password are required")
	}
	if name == "PLAIN" {
		return plain.Auth{User: user, Pass: password}.AsMechanism(), nil
	}
	auth := scram.Auth{User: user, Pass: password, IsToken: strings.EqualFold(login.Options["tokenauth"], "true")}
	if name == "SCRAM-SHA-256" {
		return auth.AsSha256Mechanism(), nil
	}
	return auth.AsSha512Mechanism(), nil
}

// loginFor parses sasl.jaas.config and checks that its module fits the mechanism: Java fails on a mismatch only when it connects.
func loginFor(mechanism string, props map[string]string) (jaasLogin, error) {
	if props["sasl.jaas.config"] == "" {
		return jaasLogin{}, fmt.Errorf("sasl.jaas.config is required for sasl.mechanism=%s; a JAAS file of the Java system is not read", mechanism)
	}
	login, err := parseJAAS(props["sasl.jaas.config"])
	if err != nil {
		return jaasLogin{}, fmt.Errorf("sasl.jaas.config: %w", err)
	}
	class := login.Module[strings.LastIndexByte(login.Module, '.')+1:]
	serves, known := loginModules[class]
	if !known {
		return jaasLogin{}, fmt.Errorf("sasl.jaas.config: the login module %s is not supported", login.Module)
	}
	if slices.Contains(serves, mechanism) {
		return login, nil
	}
	return jaasLogin{}, fmt.Errorf("sasl.jaas.config: %s does not serve sasl.mechanism=%s", class, mechanism)
}
