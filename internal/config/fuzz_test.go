package config

import (
	"os"
	"path/filepath"
	"testing"
)

// Whatever a file holds: no panic while it is loaded, and none from any getter of what was loaded.
func FuzzLoad(f *testing.F) {
	f.Add("bootstrap.servers=PLAINTEXT://localhost:9092\n", false)
	f.Add("listeners=IN://:1,https://[::1]:2\nlistener.protocol.map=IN:http\nlistener.name.https.ssl.keystore.location=x", false)
	f.Add("response.http.headers.config=\"add A: b, c\", set D: e\nrate.limit.costs=a=1\nid=\\u00e9${env:X}", false)
	f.Add("client: {sasl: {jaas.config: x}}\nlisteners: [http://a:1]\nport: 0x10\n", true)
	names, err := filepath.Glob("testdata/bad/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data), filepath.Ext(name) == ".yaml")
	}
	f.Fuzz(func(_ *testing.T, text string, asYAML bool) {
		parse := parseProperties
		if asYAML {
			parse = parseYAML
		}
		flat, err := parse([]byte(text))
		if err != nil {
			return
		}
		for key, value := range flat {
			if provider.MatchString(value) || isSecret(key) {
				delete(flat, key) // no files of the machine
			}
		}
		c, err := Load(Source{Set: flat})
		if err != nil {
			return
		}
		readAll(c)
	})
}

func readAll(c *Config) {
	for _, k := range table {
		switch k.Kind {
		case KindString, KindEnum, KindSecret:
			c.String(k.Name)
		case KindInt:
			c.Int(k.Name)
		case KindInt64:
			c.Int64(k.Name)
		case KindBool:
			c.Bool(k.Name)
		case KindList:
			c.List(k.Name)
		case KindMillis:
			c.Millis(k.Name)
		}
		c.IsSet(k.Name)
	}
	c.Networks("forwarded.trusted.addresses")
	c.Costs("rate.limit.costs")
	c.HeaderRules("response.http.headers.config")
	c.Prefixed("client.", "producer.", "consumer.", "admin.", "schema.registry.")
	c.Redacted()
	c.Warnings()
	c.Listeners()
	c.AdvertisedListeners()
}
