package conformance

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEmbeddedCasesLoad(t *testing.T) {
	cases, err := Cases()
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) < 350 {
		t.Errorf("%d cases, want 350 at least", len(cases))
	}
	deviations, err := KnownDeviations()
	if err != nil {
		t.Fatal(err)
	}
	if unknown := deviations.Unknown(cases); len(unknown) > 0 {
		t.Errorf("deviations of cases that do not exist: %v", unknown)
	}
}

func TestLoadIsStrict(t *testing.T) {
	const head = `{"id":"a","api":"v2","title":"t","steps":[`
	step := func(members string) string { return head + `{"method":"GET","path":"/"` + members + `}]}` }
	tests := []struct{ name, line, want string }{
		{"unknown member of a case", `{"id":"a","api":"v2","title":"t","step":[]}`, "unknown field"},
		{"unknown member of a step", step(`,"expect_jsn":1`), "unknown field"},
		{"no id", `{"api":"v2","title":"t","steps":[{"sleep_ms":1}]}`, "required"},
		{"no steps", `{"id":"a","api":"v2","title":"t","steps":[]}`, "required"},
		{"no method", head + `{"path":"/"}]}`, "method"},
		{"path without slash", head + `{"method":"GET","path":"x"}]}`, "slash"},
		{"pause with request", head + `{"method":"GET","path":"/","sleep_ms":1}]}`, "pause"},
		{"two bodies", step(`,"body":1,"body_base64":"AA=="`), "more than one body"},
		{"bad base64", step(`,"body_base64":"!"`), "body_base64"},
		{"status of the wrong type", step(`,"expect_status":"200"`), "cannot unmarshal"},
		{"unknown matcher", step(`,"expect_json_subset":{"a":["<<strin>>"]}`), "unknown matcher"},
		{"unknown matcher in a header", step(`,"expect_headers":{"Vary":"<<has:x>>"}`), "unknown matcher"},
		{"unknown matcher in a body", step(`,"expect_body":"<<x>>"`), "unknown matcher"},
		{"unknown array matcher", step(`,"expect_json_exact":{"<<array_has>>":[]}`), "unknown matcher"},
		{"member beside an array matcher", step(`,"expect_stream_exact":[{"<<array_len>>":1,"a":1}]`), "unknown matcher"},
		{"array matcher without array", step(`,"expect_stream_subset":{"<<array_lacks>>":1}`), "wants an array"},
		{"array length without number", step(`,"expect_json_subset":{"<<array_len>>":"1"}`), "wants a number"},
		{"bad regular expression", step(`,"expect_json_subset":"<<regex:(>>"`), "missing closing"},
		{"header that cannot be chosen", step(`,"headers":{"content-length":"1"}`), "cannot be chosen"},
		{"bad cleanup", head + `{"sleep_ms":1}],"cleanup":[{"method":"GET"}]}`, "cleanup 1"},
		{"trailing text", step(``) + ` x`, "follows"},
		{"not JSON", `{`, "line 1"},
		{"same id twice", step(``) + "\n" + step(``), "comes twice"},
	}
	for _, tt := range tests {
		if _, err := Load(strings.NewReader(tt.line)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", tt.name, err, tt.want)
		}
	}
	cases, err := Load(strings.NewReader(step(`,"expect_status":[200,204],"body":null`) + "\n\n"))
	if err != nil || len(cases) != 1 || !slices.Equal(cases[0].Steps[0].Status, Statuses{200, 204}) ||
		string(cases[0].Steps[0].Body) != "null" {
		t.Errorf("a good case: %+v, error %v", cases, err)
	}
}

func TestSelect(t *testing.T) {
	cases := []Case{{ID: "v2-a", API: "v2"}, {ID: "v3-a", API: "v3"}, {ID: "v3-b", API: "v3"}}
	tests := []struct {
		api  string
		ids  *regexp.Regexp
		want string
	}{
		{"", nil, "v2-a v3-a v3-b"},
		{"v3", nil, "v3-a v3-b"},
		{"", regexp.MustCompile("-a$"), "v2-a v3-a"},
		{"v3", regexp.MustCompile("-a$"), "v3-a"},
	}
	for _, tt := range tests {
		var ids []string
		for _, c := range Select(cases, tt.api, tt.ids) {
			ids = append(ids, c.ID)
		}
		if got := strings.Join(ids, " "); got != tt.want {
			t.Errorf("api %q, ids %v: %s, want %s", tt.api, tt.ids, got, tt.want)
		}
	}
	if cases[0].ID != "v2-a" {
		t.Error("Select changes its argument")
	}
}

func TestDeviationsAreStrict(t *testing.T) {
	for _, text := range []string{`{}`, `[{"id":"a"}]`, `[{"reason":"a"}]`, `[{"id":"a","reason":"b","x":1}]`,
		`[{"id":"a","reason":"b"},{"id":"a","reason":"c"}]`, `[] x`} {
		if _, err := LoadDeviations(strings.NewReader(text)); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
	d, err := LoadDeviations(strings.NewReader(`[{"id":"a","reason":"b"}]`))
	if err != nil || d["a"] != "b" {
		t.Errorf("deviations %v, error %v", d, err)
	}
	if unknown := d.Unknown([]Case{{ID: "c"}}); !slices.Equal(unknown, []string{"a"}) {
		t.Errorf("unknown %v, want a", unknown)
	}
}
