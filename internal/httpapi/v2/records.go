package v2

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"kafkarest"
	"kafkarest/internal/consume"
	"kafkarest/internal/format"
	"kafkarest/internal/httpapi"

	"github.com/twmb/franz-go/pkg/kgo"
)

// readAs serves GET …/records where the Accept header asks for one format.
func (a *API) readAs(f format.Format) func(*httpapi.Call, *consume.Instance) error {
	return func(c *httpapi.Call, i *consume.Instance) error {
		has := i.Options().Value
		if has.Name() != f.Name() && !(format.SchemaFormat(has) && format.SchemaFormat(f)) {
			return &kafkarest.Error{Code: kafkarest.CodeFormatMismatch,
				Message: "The requested embedded data format does not match the deserializer for this consumer instance"}
		}
		query := c.R.URL.Query()
		opts, err := readOptions(query)
		if err != nil {
			return err
		}
		change, err := encoding(query)
		if err != nil {
			return err
		}
		if change != nil {
			opts.Key, opts.Value = format.With(i.Options().Key, change), format.With(has, change)
		}
		with, err := a.include(query)
		if err != nil {
			return err
		}
		return a.read(c, i, opts, with)
	}
}

func readOptions(query url.Values) (opts consume.ReadOptions, err error) {
	timeout, err := intParam(query, "timeout")
	if err != nil {
		return opts, err
	}
	opts.Wait = time.Duration(min(timeout, 24*3600*1000)) * time.Millisecond
	if opts.MaxBytes, err = intParam(query, "max_bytes"); err != nil {
		return opts, err
	}
	opts.OnDecodeError, err = decodePolicy(query.Get("on_decode_error"))
	return opts, err
}

// intParam reads a query parameter; one that is no integer makes the path unknown (contract §1.0).
func intParam(query url.Values, name string) (int64, error) {
	s := query.Get(name)
	if s == "" {
		return -1, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, httpapi.NotFound(err)
	}
	return n, nil
}

// included are the members that a reply has beyond the contract's.
type included struct{ headers, timestamp bool }

// include reads include=headers,timestamp.
func (a *API) include(query url.Values) (included, error) {
	with := included{a.cfg.IncludeHeaders, a.cfg.IncludeTimestamp}
	for name := range strings.SplitSeq(strings.Join(query["include"], ","), ",") {
		switch strings.TrimSpace(name) {
		case "":
		case "headers":
			with.headers = true
		case "timestamp":
			with.timestamp = true
		default:
			return with, unprocessable("include takes headers and timestamp (was %s)", name)
		}
	}
	return with, nil
}

// read answers with the next records. Whether the client got the reply decides what the next read returns: a broken connection, seen at
// once or within some seconds, has them delivered again.
func (a *API) read(c *httpapi.Call, i *consume.Instance, opts consume.ReadOptions, with included) error {
	d, err := i.Read(c.R.Context(), opts)
	if err != nil {
		return err
	}
	if len(d.Records) > 0 {
		d.Broken = c.OnLost(d.Lost)
	}
	err = c.Reply(http.StatusOK, appendRecords(d.Records, with))
	if err != nil || c.R.Context().Err() != nil || c.R.Method == http.MethodHead { // the answer to HEAD has no records in it
		d.Lost()
		return err
	}
	d.Written()
	return nil
}

// appendRecords writes the array of records. Keys and values are the formats' own bytes.
func appendRecords(records []consume.Delivered, with included) []byte {
	size := 2
	for i := range records {
		size += len(records[i].Topic) + len(records[i].Key) + len(records[i].Value) + 80
	}
	b := append(make([]byte, 0, size), '[')
	for i := range records {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendRecord(b, &records[i], with)
	}
	return append(b, ']')
}

func appendRecord(b []byte, d *consume.Delivered, with included) []byte {
	b = append(b, `{"topic":"`...)
	b = append(b, d.Topic...) // a legal topic name needs no escapes
	b = append(b, `","key":`...)
	b = append(b, d.Key...)
	b = append(b, `,"value":`...)
	b = append(b, d.Value...)
	b = append(b, `,"partition":`...)
	b = strconv.AppendInt(b, int64(d.Partition), 10)
	b = append(b, `,"offset":`...)
	b = strconv.AppendInt(b, d.Offset, 10)
	if with.timestamp {
		b = append(b, `,"timestamp":`...)
		b = strconv.AppendInt(b, d.Timestamp.UnixMilli(), 10)
	}
	if with.headers {
		b = appendHeaders(append(b, `,"headers":`...), d.Headers)
	}
	if d.Err != nil {
		b = append(b, `,"error":`...)
		b = appendString(b, d.Err.Message)
		b = appendBase64(append(b, `,"raw_key":`...), d.Record.Key)
		b = appendBase64(append(b, `,"raw_value":`...), d.Record.Value)
	}
	return append(b, '}')
}

func appendHeaders(b []byte, headers []kgo.RecordHeader) []byte {
	b = append(b, '[')
	for i, h := range headers {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(append(b, `{"key":`...), h.Key)
		b = append(appendBase64(append(b, `,"value":`...), h.Value), '}')
	}
	return append(b, ']')
}

func appendBase64(b, data []byte) []byte {
	if data == nil {
		return append(b, "null"...)
	}
	b = base64.StdEncoding.AppendEncode(append(b, '"'), data)
	return append(b, '"')
}
