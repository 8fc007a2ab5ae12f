package config

import (
	"fmt"
	"strings"
)

// Markdown is docs/configuration.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(intro, "~", "`"))
	b.WriteString("\nThe following start with `KAFKA_REST_` and are not read as keys:\n`" + strings.Join(ignoredEnv, "`, `") + "`.\n")
	writeGroups(&b)
	b.WriteString("\n## Passed on to the Kafka client\n\n" +
		"Beside these, every key under `client.`, `producer.`, `consumer.` and `admin.`; [client-properties.md](client-properties.md) says what\n" +
		"becomes of each.\n\n")
	for _, k := range table {
		if k.Status == PassedOn {
			fmt.Fprintf(&b, "- `%s`\n", k.Name)
		}
	}
	writeReasons(&b, Refused, "\n## Refused\n\nThe start fails when one of these is set to something else than its default.\n\n")
	writeReasons(&b, NotApplicable, "\n## Without effect\n\n"+
		"Confluent's proxy has these. They are accepted, and a line at start tells of each that is set to something else than its default.\n\n")
	return b.String()
}

func writeGroups(b *strings.Builder) {
	title := ""
	for _, k := range table {
		if k.Status != Honoured {
			continue
		}
		if k.Group != title {
			title = k.Group
			b.WriteString("\n## " + title + "\n\n| key | default | type | meaning |\n|---|---|---|---|\n")
		}
		name := "`" + k.Name + "`"
		if k.Ours {
			name += " ⁺"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", name, code(k.Default), kindOf(k), cell(k.Doc))
	}
}

func writeReasons(b *strings.Builder, status Status, head string) {
	b.WriteString(head + "| key | default | reason |\n|---|---|---|\n")
	for _, k := range table {
		if k.Status == status {
			fmt.Fprintf(b, "| `%s` | %s | %s |\n", k.Name, code(k.Default), cell(k.Reason))
		}
	}
}

func kindOf(k Key) string {
	switch k.Kind {
	case KindInt, KindInt64, KindMillis:
		if k.Max == maxMillis || k.Max >= 1<<40 {
			return fmt.Sprintf("%s, %d or more", k.Kind, k.Min)
		}
		return fmt.Sprintf("%s, %d to %d", k.Kind, k.Min, k.Max)
	case KindEnum:
		return strings.Join(k.Allowed, ", ")
	default:
		return k.Kind.String()
	}
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + cell(s) + "`"
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// intro has ~ where Markdown has a backtick.
const intro = `# Configuration

This file is generated from the table that the program reads. Keys are those of Confluent's REST Proxy; those marked ⁺ are additions.

The proxy takes the first that is there: a flag, an environment variable, the file, the default.

- **File**: an unchanged ~kafka-rest.properties~, read as Java reads it (ISO 8859-1, ~\uXXXX~ escapes, continued lines), or ~.yaml~
  and ~.yml~ with the same keys, nested or dotted.
- **Environment**: ~KAFKA_REST_~ and the key in capitals; a dot is written ~_~, an underscore ~__~, a hyphen ~___~. So
  ~KAFKA_REST_BOOTSTRAP_SERVERS~ is ~bootstrap.servers~.
- **Secrets**: the value of a password or another secret may be ~file:PATH~ (the content of the file without its last line end) or
  ~env:NAME~. Any value may hold ~${file:/path:key}~ (a key of a properties file), ~${env:NAME}~ and ~${dir:/path:file}~, as
  Kafka's config providers have it. What cannot be found stops the start. Secrets are shown as ~<secret>~ everywhere.
- **Listeners** of a name have settings of their own: ~listener.name.NAME.ssl.keystore.location~ and so on win over ~ssl.*~; an https
  listener without a name has the name ~https~.
- **Unknown keys** stop the start, and the message names the nearest known key. Keys under ~client.~, ~producer.~, ~consumer.~, ~admin.~,
  ~schema.registry.~, ~confluent.~ and ~config.providers.~ are taken as they are.

All problems of a configuration are reported at once. ~kafka-rest check --config FILE~ does so without starting, and prints what holds.
`
