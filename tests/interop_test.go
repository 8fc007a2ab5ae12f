package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kafkarest/internal/testjava"
	"kafkarest/internal/testkafka"
	"kafkarest/tests/harness"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// interopCase is one schema with a value, as JSON.
type interopCase struct {
	format, schema, value string
}

const everyAvroType = `{"type":"record","name":"All","namespace":"x.y","fields":[
	{"name":"n","type":"null"},{"name":"b","type":"boolean"},{"name":"i","type":"int"},{"name":"l","type":"long"},
	{"name":"f","type":"float"},{"name":"d","type":"double"},{"name":"s","type":"string"},{"name":"y","type":"bytes"},
	{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},{"name":"x","type":{"type":"fixed","name":"F","size":2}},
	{"name":"a","type":{"type":"array","items":["null","string","int"]}},{"name":"m","type":{"type":"map","values":"long"}},
	{"name":"u","type":["null",{"type":"record","name":"In","fields":[{"name":"v","type":"int"}]}]},
	{"name":"dec","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
	{"name":"t","type":{"type":"long","logicalType":"timestamp-millis"}}]}`

// protoFloats has floats in every place where Java prints them otherwise than Go's library.
const protoFloats = `syntax = "proto3";
import "google/protobuf/struct.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/any.proto";
message Floats {
  float f = 1; double d = 2; repeated float fs = 3; map<string, double> m = 4; Floats in = 5; google.protobuf.Struct s = 6;
  google.protobuf.DoubleValue w = 7; int32 i = 8; repeated Floats more = 9; google.protobuf.Any any = 10; Plain p = 11;
}
message Plain { int32 i = 1; }`

const everyProtoType = `syntax = "proto3";
package x.y;
import "google/protobuf/timestamp.proto";
message All {
  string s = 1; bytes y = 2; int32 i = 3; int64 l = 4; uint32 u = 5; uint64 v = 6; sint32 z = 7; sint64 w = 8;
  fixed32 a = 9; fixed64 b = 10; sfixed32 c = 11; sfixed64 d = 12; float f = 13; double g = 14; bool t = 15;
  E e = 16; repeated int32 packed = 17; repeated string words = 18; map<string, int32> m = 19; In in = 20;
  oneof choice { string left = 21; int32 right = 22; }
  optional int32 maybe = 23; google.protobuf.Timestamp at = 24;
  enum E { ZERO = 0; ONE = 1; }
  message In { string v = 1; In deeper = 2; }
}
message Other { string o = 1; }`

// interopCases are read and written by both sides. Maps have one entry: no order is promised for more.
var interopCases = []interopCase{
	{format: "avro", schema: `"int"`, value: `-5`},
	{format: "avro", schema: `"string"`, value: `"é\n\u0000"`},
	{format: "avro", schema: `["null","string"]`, value: `{"string":"x"}`},
	{format: "avro", schema: everyAvroType, value: `{"n":null,"b":true,"i":-7,"l":9007199254740993,"f":1.5,"d":5.0,"s":"é","y":"ÿ\u0000a","e":"B","x":"\u0001\u0002",` +
		`"a":[null,{"string":"x"},{"int":1}],"m":{"k":1},"u":{"x.y.In":{"v":3}},"dec":"\u0001\u0000","t":1700000000000}`},
	{format: "jsonschema", schema: `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"f":{"type":"integer"},"n":{"type":["null","number"]}},"required":["f"]}`,
		value: `{"f":1,"n":null,"more":["é",true,{}]}`},
	{format: "jsonschema", schema: `{"type":"object","properties":{"s":{"type":"string","minLength":1}}}`, value: `{"s":"x"}`},
	{format: "protobuf", schema: `syntax = "proto3"; message M { string f = 1; }`, value: `{"f":"x"}`},
	{format: "protobuf", schema: everyProtoType, value: `{"s":"é","y":"AP8=","i":-1,"l":"-9007199254740993","u":4294967295,"v":"18446744073709551615","z":-1,"w":"-2",` +
		`"a":1,"b":"2","c":-3,"d":"-4","f":1.5,"g":-2.25,"t":true,"e":"ONE","packed":[1,300],"words":["a",""],"m":{"k":7},` +
		`"in":{"v":"","deeper":{"v":"d"}},"right":5,"maybe":0,"at":"2023-11-14T22:13:20Z"}`},
	{format: "protobuf", schema: everyProtoType, value: `{"s":"","y":"","i":0,"l":"0","u":0,"v":"0","z":0,"w":"0","a":0,"b":"0","c":0,"d":"0","f":0.0,"g":0.0,"t":false,"e":"ZERO","packed":[],"words":[],"m":{}}`},
	{format: "protobuf", schema: protoFloats, value: `{"f":1.0,"d":1.0E10,"fs":[0.1,1.0E-4,3.4028235E38,"NaN"],"m":{"k":5.0},` +
		`"in":{"f":-0.0,"d":"Infinity","fs":[],"m":{},"i":0,"more":[]},"s":{"l":[2.0,null,{"x":0.5}]},"w":100.0,"i":5,` +
		`"more":[{"f":1.6777216E7,"d":4.9E-324,"fs":[],"m":{},"i":0,"more":[]}],"p":{"i":3}}`},
}

// TestJavaReadsAndWrites: what is written over HTTP is read by Java, and Java writes the same bytes, which are read over HTTP. Each case has
// topics of its own: a subject holds schemas of one type.
func TestJavaReadsAndWrites(t *testing.T) {
	b := harness.RealBroker(t)
	registry := harness.RealRegistry(t)
	p := startProxy(t, b, map[string]string{"schema.registry.url": registry})
	from, to := make([]string, len(interopCases)), make([]string, len(interopCases))
	var input bytes.Buffer
	for i, c := range interopCases {
		from[i], to[i] = harness.CreateTopic(t, b, 1), harness.CreateTopic(t, b, 1)
		body, _ := json.Marshal(map[string]any{"value_schema": c.schema, "records": []any{map[string]any{"value": json.RawMessage(c.value)}}})
		p.Produce(from[i], mediaOf(c.format), string(body))
		line := map[string]string{"format": c.format, "schema": c.schema, "value": c.value, "from": from[i], "to": to[i]}
		if c.format == "protobuf" {
			line["files"] = descriptors(t, c.schema)
		}
		text, _ := json.Marshal(line)
		input.Write(append(text, '\n'))
	}
	lines := strings.Split(strings.TrimSpace(registryEcho(t, &input, b.Bootstrap, registry)), "\n")
	if len(lines) != len(interopCases) {
		t.Fatalf("%d cases, and Java prints %d lines", len(interopCases), len(lines))
	}
	read := map[string]string{}
	for _, r := range readRaw(p, p.Reader("avro", to...), mediaOf("avro"), len(to)) {
		read[r.Topic] = string(r.Value)
	}
	for i, c := range interopCases {
		t.Run(fmt.Sprintf("%s-%d", c.format, i), func(t *testing.T) {
			var java struct {
				ID   int    `json:"id"`
				JSON string `json:"json"`
			}
			if err := json.Unmarshal([]byte(lines[i]), &java); err != nil {
				t.Fatalf("%s: %v", lines[i], err)
			}
			if java.JSON != c.value {
				t.Errorf("Java reads    %s\nand not       %s", java.JSON, c.value)
			}
			ours, theirs := harness.ReadLog(t, b, from[i])[0].Value, harness.ReadLog(t, b, to[i])[0].Value
			if !bytes.Equal(ours, theirs) {
				t.Errorf("over HTTP %x\nby Java   %x", ours, theirs)
			}
			if got := read[to[i]]; got != c.value {
				t.Errorf("Java's record is read as %s\nand not                  %s", got, c.value)
			}
		})
	}
}

// rawRecord is a record of a reply whose key and value are the very text.
type rawRecord struct {
	Topic      string
	Key, Value json.RawMessage
}

// readRaw reads until there are n records, for at most 30 s.
func readRaw(p *proxy, instance, accept string, n int) []rawRecord {
	p.T.Helper()
	var all []rawRecord
	for deadline := time.Now().Add(30 * time.Second); len(all) < n; {
		if time.Now().After(deadline) {
			p.T.Fatalf("read %d of %d records within 30 s", len(all), n)
		}
		r := p.Read(instance, accept, "?timeout=1000")
		var list []rawRecord
		if err := json.Unmarshal([]byte(r.Body), &list); r.Status != 200 || err != nil {
			p.T.Fatalf("read: %d %s: %v", r.Status, r.Body, err)
		}
		all = append(all, list...)
	}
	return all
}

func mediaOf(format string) string { return "application/vnd.kafka." + format + ".v2+json" }

// descriptors compiles a file for Java, as base64 of a FileDescriptorSet in which what is imported comes first.
func descriptors(t *testing.T, source string) string {
	t.Helper()
	c := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"main.proto": source})})}
	files, err := c.Compile(t.Context(), "main.proto")
	if err != nil {
		t.Fatal(err)
	}
	set := &descriptorpb.FileDescriptorSet{}
	addFile(set, files[0])
	data, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(data)
	return strings.Trim(string(text), `"`)
}

func addFile(set *descriptorpb.FileDescriptorSet, file protoreflect.FileDescriptor) {
	for i := range file.Imports().Len() {
		addFile(set, file.Imports().Get(i).FileDescriptor)
	}
	set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
}

// registryEcho runs the program of interop/java-registry from its source and gives what it printed.
func registryEcho(t *testing.T, stdin *bytes.Buffer, args ...string) string {
	t.Helper()
	folder := filepath.Join("..", "interop", "java-registry")
	pom, err := os.ReadFile(filepath.Join(folder, "pom.xml"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // the first run on a machine downloads
	defer cancel()
	dir, err := testjava.Artifacts{Name: "java-registry", Pom: pom, Goal: "copy-dependencies"}.Fetch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	java, err := testkafka.Java()
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{"-XX:TieredStopAtLevel=1", "-cp", filepath.Join(dir, "lib", "*"), filepath.Join(folder, "RegistryEcho.java")}, args...)
	cmd := exec.CommandContext(ctx, java, args...)
	var stderr strings.Builder
	cmd.Stdin, cmd.Stderr = stdin, &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("RegistryEcho: %v\n%s%s", err, out, &stderr)
	}
	return string(out)
}
