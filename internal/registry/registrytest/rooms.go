package registrytest

import (
	"errors"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"

	"kafkarest"
	"kafkarest/internal/format"
	"kafkarest/internal/registry"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/sr"
)

// roomChecks hold the formats, the client and the registry together: what a program has.
var roomChecks = []check{
	{"write with one process and read with another", writeAndRead},
	{"served from the cache when the registry is gone", registryGone},
	{"errors", roomErrors},
	{"references given with the text", inlineReferences},
	{"spellings of a schema share an id", spellings},
	{"subject of a record name", recordName},
}

// formats are over a client of their own, as another process has.
func (p *probe) formats(change func(*registry.Config)) format.Table {
	c := registry.Default()
	c.URLs = []string{p.url}
	if change != nil {
		change(&c)
	}
	client, err := registry.New(c)
	if err != nil {
		p.problem("%v", err)
		return format.SchemaFormats(nil, format.Options{})
	}
	p.closers = append(p.closers, client.Close)
	return format.SchemaFormats(client, format.Options{})
}

func (p *probe) value(topic, text string, references ...sr.SchemaReference) format.Schema {
	return format.Schema{Topic: p.subject(topic), Side: format.Value, Text: text, References: references}
}

func (p *probe) encode(f format.Format, s format.Schema, v string) ([]byte, int) {
	e, err := f.NewEncoder(p.ctx, s)
	if err != nil {
		p.problem("encoder of %s: %v", f.Name(), err)
		return nil, 0
	}
	data, err := e.Encode(jsontext.Value(v))
	if err != nil {
		p.problem("encode %s as %s: %v", v, f.Name(), err)
	}
	return data, e.SchemaID()
}

func (p *probe) decodes(f format.Format, data []byte, want string) {
	if got, err := f.Decode(p.ctx, data); err != nil || string(got) != want {
		p.problem("decode %x: %s %v, want %s", data, got, err, want)
	}
}

// samples are one record in each format.
var samples = []struct{ format, schema, value string }{
	{
		"avro", `{"type":"record","name":"User","fields":[{"name":"name","type":"string"},{"name":"n","type":["null","double"]}]}`,
		`{"name":"a","n":{"double":5.0}}`,
	},
	{"jsonschema", object, `{"f":1}`},
	{"protobuf", `syntax = "proto3"; message M { string f = 1; }`, `{"f":"x"}`},
}

func writeAndRead(p *probe) {
	writer, reader := p.formats(nil), p.formats(nil)
	for _, s := range samples {
		f := writer.Find(s.format)
		data, id := p.encode(f, p.value(s.format, s.schema), s.value)
		again, sameID := p.encode(f, format.Schema{Topic: p.subject(s.format), Side: format.Value, ID: id}, s.value)
		if sameID != id || string(again) != string(data) {
			p.problem("%s by id: %x, by text %x", s.format, again, data)
		}
		p.decodes(reader[0], data, s.value)
	}
}

func registryGone(p *probe) {
	address, err := url.Parse(p.url)
	if err != nil {
		p.problem("%v", err)
		return
	}
	front := httptest.NewServer(httputil.NewSingleHostReverseProxy(address))
	defer front.Close()
	table := p.formats(func(c *registry.Config) { c.URLs = []string{front.URL} })
	records := map[string][]byte{}
	for _, s := range samples {
		records[s.value], _ = p.encode(table.Find(s.format), p.value(s.format, s.schema), s.value)
	}
	front.Close()
	for _, s := range samples {
		p.decodes(table[0], records[s.value], s.value)
		if data, _ := p.encode(table.Find(s.format), p.value(s.format, s.schema), s.value); string(data) != string(records[s.value]) {
			p.problem("%s: %x and then %x", s.format, records[s.value], data)
		}
	}
	if _, err := table[0].Decode(p.ctx, []byte{0, 0x3f, 0, 0, 99, 0}); !errors.Is(err, format.ErrSchemaUnavailable) {
		p.problem("unknown schema, registry gone: %v", err)
	}
}

func roomErrors(p *probe) {
	p.want("PUT", "/config/"+p.subject("t")+"-value", `{"compatibility":"BACKWARD"}`, 200, `{}`)
	f := p.formats(nil).Find("avro")
	p.encode(f, p.value("t", userV1), `{"name":"a"}`)
	for _, tt := range []struct {
		schema format.Schema
		code   kafkarest.Code
		parts  []string
	}{
		{format.Schema{Side: format.Value, ID: 987654}, 42207,
			[]string{"Error serializing message. Error when fetching schema by id. schemaId = 987654\n", "; error code: 40403"}},
		{p.value("t", `"int"`), 42207, []string{"Error serializing message. Error when registering schema. format = AVRO, subject = " + p.subject("t") +
			"-value, schema = \"int\"\n", "; error code: 409"}},
		{format.Schema{Topic: p.subject("t"), Side: format.Value, Version: 7}, 400,
			[]string{"Bad Request: Schema does not exist for subject: " + p.subject("t") + "-value, version: 7"}},
	} {
		_, err := f.NewEncoder(p.ctx, tt.schema)
		var ke *kafkarest.Error
		if !errors.As(err, &ke) || ke.Code != tt.code {
			p.problem("%v, want %d", err, tt.code)
			continue
		}
		for _, part := range tt.parts {
			if !strings.Contains(ke.Message, part) {
				p.problem("%q, want %q", ke.Message, part)
			}
		}
	}
	if _, err := f.Decode(p.ctx, []byte{0, 0x3f, 0, 0, 99, 0}); err == nil || errors.Is(err, format.ErrSchemaUnavailable) {
		p.problem("an id that the registry does not know: %v", err)
	}
}

// inlineReferences registers a schema that refers to another, from the text in a request.
func inlineReferences(p *probe) {
	writer, reader := p.formats(nil), p.formats(nil)
	for _, tt := range []struct{ format, part, whole, name, value string }{
		{"avro", userV1, order, "User", `{"by":{"name":"a"}}`},
		{
			"protobuf", `syntax = "proto3"; package a; message Part { string f = 1; }`,
			`syntax = "proto3"; import "part.proto"; message Whole { a.Part p = 1; }`, "part.proto", `{"p":{"f":"x"}}`,
		},
		{
			"jsonschema", object, `{"type":"object","properties":{"p":{"$ref":"part.json"}}}`, "part.json", `{"p":{"f":1}}`,
		},
	} {
		f := writer.Find(tt.format)
		partTopic := tt.format + "-part"
		if e, err := f.NewEncoder(p.ctx, p.value(partTopic, tt.part)); err != nil {
			p.problem("%s: %v", tt.format, err)
			continue
		} else if e.SchemaID() == 0 {
			p.problem("%s: no id", tt.format)
		}
		ref := sr.SchemaReference{Name: tt.name, Subject: p.subject(partTopic) + "-value", Version: 1}
		data, _ := p.encode(f, p.value(tt.format+"-whole", tt.whole, ref), tt.value)
		p.decodes(reader[0], data, tt.value)
	}
}

// spellings registers the same schemas as another client would spell them.
func spellings(p *probe) {
	table := p.formats(nil)
	for _, tt := range []struct{ format, one, other, value string }{
		{"avro", `{"fields": [], "type": "record", "name": "a.R"}`, `{"type":"record","name":"R","namespace":"a","fields":[]}`, `{}`},
		{"protobuf", `syntax = "proto3"; message M { }`, "syntax = \"proto3\";\n\nmessage M {}\n", `{}`},
	} {
		f := table.Find(tt.format)
		_, one := p.encode(f, p.value(tt.format, tt.one), tt.value)
		_, other := p.encode(f, p.value(tt.format, tt.other), tt.value)
		if one != other {
			p.problem("%s: ids %d and %d", tt.format, one, other)
		}
	}
}

func recordName(p *probe) {
	table := p.formats(func(c *registry.Config) { c.ValueStrategy = registry.TopicRecordName })
	e, err := table.Find("protobuf").NewEncoder(p.ctx, p.value("t", `syntax = "proto3"; package p; message M {}`))
	if err != nil {
		p.problem("%v", err)
		return
	}
	used := e.(format.Describer).Used() //nolint:forcetypeassert // a panic here is a failure as good as any
	if used.Subject != p.subject("t")+"-p.M" || used.Version != 1 || used.Type != sr.TypeProtobuf {
		p.problem("%+v", used)
	}
}
