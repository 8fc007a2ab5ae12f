package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/magiconair/properties"
	"go.yaml.in/yaml/v3"
)

// maxFileBytes bounds every file that configuration reads.
const maxFileBytes = 1 << 20

func (l *loader) readFile(name string) {
	if name == "" {
		return
	}
	flat, err := parseFile(name)
	if err != nil {
		l.problems = append(l.problems, &Problem{Source: name, Limit: "cannot be used: " + err.Error()})
		return
	}
	for key, text := range flat {
		l.put(key, value{text: text, source: sourceFile})
	}
}

func parseFile(name string) (map[string]string, error) {
	data, err := readSmall(name)
	if err != nil {
		return nil, err
	}
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml":
		return parseYAML(data)
	}
	return parseProperties(data)
}

func readSmall(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFileBytes {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", name, info.Size(), maxFileBytes)
	}
	return os.ReadFile(name)
}

// parseProperties reads what java.util.Properties reads. Expansion is off: it would turn ${file:/etc/x:key} into an empty string.
func parseProperties(data []byte) (map[string]string, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	loader := properties.Loader{Encoding: properties.ISO_8859_1, DisableExpansion: true}
	p, err := loader.LoadBytes(data)
	if err != nil {
		return nil, err
	}
	return p.Map(), nil
}

// parseYAML flattens nested maps to dotted keys and joins lists with commas. Numbers keep the text that the file has.
func parseYAML(data []byte) (map[string]string, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	out := map[string]string{}
	if len(doc.Content) == 0 {
		return out, nil
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return out, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, errors.New("the document is not a map of keys")
	}
	return out, flattenYAML(out, "", root)
}

func flattenYAML(out map[string]string, prefix string, node *yaml.Node) error {
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, child := node.Content[i], node.Content[i+1]
		if name.Kind != yaml.ScalarNode || name.Value == "" || name.Tag == "!!merge" {
			return fmt.Errorf("line %d: a key must be plain text", name.Line)
		}
		key := prefix + name.Value
		if child.Kind == yaml.MappingNode {
			if err := flattenYAML(out, key+".", child); err != nil {
				return err
			}
			continue
		}
		text, err := yamlText(child)
		if err != nil {
			return fmt.Errorf("line %d: %s: %w", child.Line, key, err)
		}
		if _, twice := out[key]; twice {
			return fmt.Errorf("line %d: %s is there twice", child.Line, key)
		}
		out[key] = text
	}
	return nil
}

func yamlText(node *yaml.Node) (string, error) {
	switch node.Kind {
	case yaml.ScalarNode:
		if node.Tag == "!!null" {
			return "", nil
		}
		return node.Value, nil
	case yaml.SequenceNode:
		elements := make([]string, len(node.Content))
		for i, child := range node.Content {
			if child.Kind != yaml.ScalarNode {
				return "", errors.New("a list may hold plain values only")
			}
			elements[i] = child.Value
		}
		return strings.Join(elements, ","), nil
	default:
		return "", errors.New("aliases are not supported: write the value again")
	}
}
