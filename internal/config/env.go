package config

import (
	"regexp"
	"slices"
	"strings"
)

const envPrefix = "KAFKA_REST_"

// ignoredEnv are variables of Confluent's images and start scripts that are not properties; a trailing * stands for any rest.
var ignoredEnv = []string{
	"KAFKA_REST_HEAP_OPTS", "KAFKA_REST_JVM_*", "KAFKA_REST_OPTS", "KAFKA_REST_LOG4J*", "KAFKA_REST_JMX_*", "KAFKA_REST_CUB_*",
	"KAFKA_REST_GC_LOG_OPTS",
	// Kubernetes sets these for a Service of the name kafka-rest.
	"KAFKA_REST_SERVICE_HOST", "KAFKA_REST_SERVICE_PORT*", "KAFKA_REST_PORT_*",
}

func envMap(env []string) map[string]string {
	out := make(map[string]string, len(env))
	for _, entry := range env {
		if name, text, ok := strings.Cut(entry, "="); ok {
			out[name] = text
		}
	}
	return out
}

func (l *loader) readEnv() {
	for name, text := range l.env {
		if rest, ok := strings.CutPrefix(name, envPrefix); ok && rest != "" && !isIgnoredEnv(name, text) {
			l.put(envKey(rest), value{text: text, source: sourceEnv, origin: name})
		}
	}
}

func isIgnoredEnv(name, text string) bool {
	if name == "KAFKA_REST_PORT" && strings.Contains(text, "://") {
		return true // also Kubernetes: tcp://10.0.0.1:8082
	}
	return slices.ContainsFunc(ignoredEnv, func(pattern string) bool {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
			return strings.HasPrefix(name, prefix)
		}
		return name == pattern
	})
}

// envKey is Confluent's rule as its images' code has it (its documentation swaps the last two): one underscore is a dot, two are an
// underscore, three a hyphen. More stay as they are, and make a key that nobody knows.
func envKey(name string) string {
	return underscores.ReplaceAllStringFunc(strings.ToLower(name), func(run string) string {
		switch len(run) {
		case 1:
			return "."
		case 2:
			return "_"
		case 3:
			return "-"
		default:
			return run
		}
	})
}

var underscores = regexp.MustCompile(`_+`)

// envName is the variable that envKey maps to key.
func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "_", "__", "-", "___").Replace(key))
}
