package registrytest

import (
	"fmt"
	"slices"
	"strings"
)

// Schemas that several checks use. Each probe has subjects of its own, and the ids of schemas that others have registered too may be old.
const (
	userV1   = `{"type":"record","name":"User","fields":[{"name":"name","type":"string"}]}`
	userV2   = `{"type":"record","name":"User","fields":[{"name":"name","type":"string"},{"name":"age","type":"int","default":0}]}`
	userMust = `{"type":"record","name":"User","fields":[{"name":"name","type":"string"},{"name":"age","type":"int"}]}`
	order    = `{"type":"record","name":"Order","fields":[{"name":"by","type":"User"}]}`
	protoM   = `syntax = "proto3"; message M { string f = 1; }`
	protoM2  = "syntax = \"proto3\";\n\nmessage M {\n  string f = 1;\n}\n"
	object   = `{"type":"object","properties":{"f":{"type":"integer"}}}`
)

// apiChecks are what clients of a registry rely on.
var apiChecks = []check{
	{"schema types", func(p *probe) {
		types, _ := p.do("GET", "/schemas/types", "").body.([]any)
		for _, t := range []any{"AVRO", "JSON", "PROTOBUF"} {
			if !slices.Contains(types, t) {
				p.problem("%v is not in %v", t, types)
			}
		}
	}},
	{"media type of replies", func(p *probe) {
		if got := p.do("GET", "/subjects", "").media; got != mediaType {
			p.problem("Content-Type %s", got)
		}
	}},
	{"one id for one schema", func(p *probe) {
		id := p.register(p.subject("a"), schema("", userV1))
		for _, again := range []int{
			p.register(p.subject("a"), schema("", userV1)), p.register(p.subject("a"), schema("", spaced(userV1))), p.register(p.subject("b"), schema("", userV1)),
		} {
			if again != id {
				p.problem("id %d and then %d", id, again)
			}
		}
		if other := p.register(p.subject("a"), schema("", userV2)); other == id {
			p.problem("another schema has the same id %d", id)
		}
	}},
	{"one id for another spelling in another subject", func(p *probe) {
		one, other := p.register(p.subject("a"), schema("", userV1)), p.register(p.subject("b"), schema("", spaced(userV1)))
		if one != other {
			p.problem("ids %d and %d", one, other)
		}
	}},
	{"schema by id", byID},
	{"unknown id", func(p *probe) { p.refuses("GET", "/schemas/ids/987654321", "", 404, 40403) }},
	{"subjects", func(p *probe) {
		p.register(p.subject("a"), schema("", userV1))
		p.register(p.subject("b%2Fc"), schema("", userV1))
		subjects, _ := p.do("GET", "/subjects", "").body.([]any)
		for _, name := range []any{p.subject("a"), p.subject("b/c")} {
			if !slices.Contains(subjects, name) {
				p.problem("%v is not in %v", name, subjects)
			}
		}
	}},
	{"subjects by prefix", func(p *probe) {
		p.register(p.subject("a"), schema("", userV1))
		p.want("GET", "/subjects?subjectPrefix="+p.prefix, "", 200, `["`+p.subject("a")+`"]`)
	}},
	{"versions", versions},
	{"version that is no number", func(p *probe) {
		p.register(p.subject("a"), schema("", userV1))
		p.refuses("GET", "/subjects/"+p.subject("a")+"/versions/zero", "", 422, 42202)
	}},
	{"look-up", lookup},
	{"look-up tells the type", func(p *probe) {
		p.register(p.subject("p"), schema("PROTOBUF", protoM))
		p.want("POST", "/subjects/"+p.subject("p"), schema("PROTOBUF", protoM), 200, `{"schemaType":"PROTOBUF"}`)
	}},
	{"what is no schema", func(p *probe) {
		for typ, text := range map[string]string{"AVRO": `{"type":"nope"}`, "PROTOBUF": "not a proto", "JSON": `{"type":1}`} {
			p.refuses("POST", "/subjects/"+p.subject("a")+"/versions", schema(typ, text), 422, 42201)
		}
	}},
	{"empty schema", func(p *probe) {
		p.refuses("POST", "/subjects/"+p.subject("a")+"/versions", schema("", ""), 422, 42201)
	}},
	{"JSON Schema without a keyword that tells it", func(p *probe) { p.register(p.subject("a"), schema("JSON", `{"type":"object"}`)) }},
	{"references", references},
	{"references of protobuf", func(p *probe) {
		p.register(p.subject("part"), schema("PROTOBUF", `syntax = "proto3"; package a; message Part { string f = 1; }`))
		whole := schema("PROTOBUF", `syntax = "proto3"; import "part.proto"; message Whole { a.Part p = 1; }`, reference("part.proto", p.subject("part")))
		p.register(p.subject("whole"), whole)
		p.want("GET", "/subjects/"+p.subject("whole")+"/versions/1", "", 200, `{"references":[`+reference("part.proto", p.subject("part"))+`]}`)
	}},
	{"reference to nothing", func(p *probe) {
		p.refuses("POST", "/subjects/"+p.subject("o")+"/versions", schema("", order, reference("User", p.subject("none"))), 422, 42201)
	}},
	{"default level", func(p *probe) { p.want("GET", "/config", "", 200, `{"compatibilityLevel":"BACKWARD"}`) }},
	{"compatibility of Avro", compatibility},
	{"invalid level", func(p *probe) {
		p.refuses("PUT", "/config/"+p.subject("a"), `{"compatibility":"SOME"}`, 422, 42203)
	}},
	{"level of a subject", func(p *probe) {
		path := "/config/" + p.subject("a")
		p.want("PUT", path, `{"compatibility":"FULL_TRANSITIVE"}`, 200, `{"compatibility":"FULL_TRANSITIVE"}`)
		p.want("GET", path, "", 200, `{"compatibilityLevel":"FULL_TRANSITIVE"}`)
	}},
	{"subject without a level", func(p *probe) { p.refuses("GET", "/config/"+p.subject("a"), "", 404, 40408) }},
	{"mode", func(p *probe) { p.want("GET", "/mode", "", 200, `{"mode":"READWRITE"}`) }},
	{"soft deletion", softDeletion},
	{"soft deletion of a subject tells what it deleted", func(p *probe) {
		path := "/subjects/" + p.subject("a")
		p.register(p.subject("a"), schema("", userV1))
		p.register(p.subject("a"), schema("", userV2))
		p.want("DELETE", path+"/versions/1", "", 200, `1`)
		p.want("DELETE", path, "", 200, `[2]`)
	}},
	{"hard deletion", func(p *probe) {
		path := "/subjects/" + p.subject("a")
		p.register(p.subject("a"), schema("", userV1))
		p.want("DELETE", path, "", 200, `[1]`)
		p.want("DELETE", path+"?permanent=true", "", 200, `[1]`)
		p.refuses("GET", path+"/versions?deleted=true", "", 404, 40401)
	}},
	{"hard deletion comes second", func(p *probe) {
		p.register(p.subject("a"), schema("", userV1))
		p.refuses("DELETE", "/subjects/"+p.subject("a")+"?permanent=true", "", 404, 40405)
	}},
}

// spaced is another spelling of a schema in JSON.
func spaced(text string) string { return strings.ReplaceAll(text, ",", " , ") }

func byID(p *probe) {
	for _, s := range []struct{ typ, text string }{{"", userV1}, {"PROTOBUF", protoM2}, {"JSON", object}} {
		subject := p.subject("x" + s.typ)
		id := p.register(subject, schema(s.typ, s.text))
		path := fmt.Sprintf("/schemas/ids/%d", id)
		want := `{"schema":` + quote(s.text)
		if s.typ != "" {
			want += `,"schemaType":"` + s.typ + `"`
		}
		p.want("GET", path, "", 200, want+`}`)
		if got := p.do("GET", path+"/schema", ""); got.status != 200 || got.text != s.text {
			p.problem("text of %d: %d %s", id, got.status, got.text)
		}
		subjects, _ := p.do("GET", path+"/subjects", "").body.([]any)
		if !slices.Contains(subjects, any(subject)) {
			p.problem("subjects of %d: %v without %s", id, subjects, subject)
		}
		if got := p.do("GET", path+"/versions", ""); !strings.Contains(got.text, `"subject":"`+subject+`"`) {
			p.problem("versions of %d: %s without %s", id, got.text, subject)
		}
	}
}

func versions(p *probe) {
	subject := p.subject("a")
	path := "/subjects/" + subject + "/versions"
	p.register(subject, schema("", userV1))
	id := p.register(subject, schema("", userV2))
	p.want("GET", path, "", 200, `[1,2]`)
	for _, v := range []string{"2", "latest", "-1"} {
		p.want("GET", path+"/"+v, "", 200, fmt.Sprintf(`{"subject":%q,"version":2,"id":%d,"schema":%s}`, subject, id, quote(userV2)))
	}
	if got := p.do("GET", path+"/1/schema", ""); got.text != userV1 {
		p.problem("text of version 1: %s", got.text)
	}
	p.refuses("GET", path+"/3", "", 404, 40402)
	p.refuses("GET", "/subjects/"+p.subject("none")+"/versions", "", 404, 40401)
	p.refuses("GET", "/subjects/"+p.subject("none")+"/versions/1", "", 404, 40401)
}

func lookup(p *probe) {
	subject := p.subject("a")
	id := p.register(subject, schema("", userV1))
	for _, text := range []string{userV1, spaced(userV1)} {
		p.want("POST", "/subjects/"+subject, schema("", text), 200,
			fmt.Sprintf(`{"subject":%q,"version":1,"id":%d,"schema":%s}`, subject, id, quote(userV1)))
	}
	p.refuses("POST", "/subjects/"+subject, schema("", userV2), 404, 40403)
	p.refuses("POST", "/subjects/"+p.subject("none"), schema("", userV1), 404, 40401)
	p.register(p.subject("p"), schema("PROTOBUF", protoM))
	p.want("POST", "/subjects/"+p.subject("p"), schema("PROTOBUF", protoM2), 200, `{"version":1}`)
}

func references(p *probe) {
	user := p.subject("user")
	p.register(user, schema("", userV1))
	body := schema("", order, reference("User", user))
	id := p.register(p.subject("order"), body)
	p.want("GET", fmt.Sprintf("/schemas/ids/%d", id), "", 200, fmt.Sprintf(`{"schema":%s,"references":[%s]}`, quote(order), reference("User", user)))
	p.want("POST", "/subjects/"+p.subject("order"), body, 200, fmt.Sprintf(`{"id":%d,"version":1}`, id))
	p.want("GET", "/subjects/"+user+"/versions/1/referencedby", "", 200, fmt.Sprintf(`[%d]`, id))
	p.refuses("DELETE", "/subjects/"+user+"/versions/1", "", 422, 42206)
}

func compatibility(p *probe) {
	subject := p.subject("a")
	p.want("PUT", "/config/"+subject, `{"compatibility":"BACKWARD"}`, 200, `{"compatibility":"BACKWARD"}`)
	p.register(subject, schema("", userV1))
	check := "/compatibility/subjects/" + subject + "/versions"
	for text, is := range map[string]bool{userMust: false, userV2: true} {
		for _, path := range []string{check + "/latest", check + "/1", check} {
			p.want("POST", path, schema("", text), 200, fmt.Sprintf(`{"is_compatible":%t}`, is))
		}
	}
	p.refuses("POST", "/subjects/"+subject+"/versions", schema("", userMust), 409, 409)
	p.register(subject, schema("", userV2))
	p.want("PUT", "/config/"+subject, `{"compatibility":"NONE"}`, 200, `{"compatibility":"NONE"}`)
	p.register(subject, schema("", `"int"`))
}

func softDeletion(p *probe) {
	subject := p.subject("a")
	path := "/subjects/" + subject
	p.register(subject, schema("", userV1))
	id := p.register(subject, schema("", userV2))
	p.want("DELETE", path+"/versions/1", "", 200, `1`)
	p.want("GET", path+"/versions", "", 200, `[2]`)
	p.want("GET", path+"/versions?deleted=true", "", 200, `[1,2]`)
	p.refuses("GET", path+"/versions/1", "", 404, 40402)
	if got := p.do("DELETE", path, ""); got.status != 200 {
		p.problem("delete the subject: %d %s", got.status, got.text)
	}
	p.refuses("DELETE", path, "", 404, 40404)
	p.refuses("GET", path+"/versions/latest", "", 404, 40401)
	p.want("GET", fmt.Sprintf("/schemas/ids/%d", id), "", 200, fmt.Sprintf(`{"schema":%s}`, quote(userV2)))
	if again := p.register(subject, schema("", userV2)); again != id {
		p.problem("registered again, %d has the id %d", id, again)
	}
	p.refuses("DELETE", "/subjects/"+p.subject("none"), "", 404, 40401)
}
