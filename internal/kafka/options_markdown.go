package kafka

import (
	"fmt"
	"strings"
)

// PropertiesMarkdown is docs/client-properties.md.
func PropertiesMarkdown() string {
	var b strings.Builder
	b.WriteString(propertiesIntro)
	for _, p := range javaProperties {
		if p.reason == "" {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", p.name, p.scopes, p.def, p.doc)
		}
	}
	b.WriteString("\n## Without effect\n\n| property | client | reason |\n|---|---|---|\n")
	for _, p := range javaProperties {
		if p.reason != "" {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", p.name, p.scopes, p.reason)
		}
	}
	return b.String()
}

const propertiesIntro = `# Java client properties

This file is generated from the table that the program reads.

Properties of the Java clients are set under ` + "`client.`" + ` (every client), ` + "`producer.`, `consumer.` and `admin.`" + `, which win over
` + "`client.`" + `. They are translated to the Go client. A value that is out of the Go client's range is moved into it with a warning at start; a
property that is not known, has no effect or belongs to another client gives a warning too; a value that Java refuses as well stops the start.

## Translated

| property | client | when not set | meaning |
|---|---|---|---|
`
