package httpapi

import (
	"mime"
	"slices"
	"strconv"
	"strings"
)

// mediaRange is one element of an Accept header (RFC 9110 §12.5.1).
type mediaRange struct {
	kind, sub string // "*" matches any
	q         float64
}

func (m mediaRange) specificity() int {
	switch {
	case m.kind == "*":
		return 0
	case m.sub == "*":
		return 1
	}
	return 2
}

func (m mediaRange) matches(mediaType string) bool {
	kind, sub, _ := strings.Cut(mediaType, "/")
	return (m.kind == "*" || m.kind == kind) && (m.sub == "*" || m.sub == sub)
}

// parseAccept gives the ranges in the client's order. Elements that cannot be parsed are passed over, as Jersey does with a parameter
// that it cannot read; parameters other than q take no part in the choice.
func parseAccept(headers []string) []mediaRange {
	var ranges []mediaRange
	for _, header := range headers {
		for element := range strings.SplitSeq(header, ",") {
			mediaType, params, _ := strings.Cut(element, ";")
			kind, sub, ok := strings.Cut(strings.ToLower(strings.TrimSpace(mediaType)), "/")
			if kind == "*" && !ok {
				sub, ok = "*", true // java.net.HttpURLConnection sends "*; q=.2"
			}
			if !ok || kind == "" || sub == "" {
				continue
			}
			ranges = append(ranges, mediaRange{kind, sub, quality(params)})
		}
	}
	return ranges
}

func quality(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil || !(q >= 0 && q <= 1) { // NaN too
				return 1
			}
			return q
		}
	}
	return 1
}

// negotiate picks the offer that the Accept headers like best, or "" when none will do. Without an Accept header it is the first
// offer. The range that names an offer most closely gives its quality; between equals the client's more specific range wins, then the
// order in which the client named them, then the server's order.
func negotiate(headers []string, offers []string) string {
	if len(headers) == 0 {
		return offers[0]
	}
	if len(headers) == 1 {
		if headers[0] == "*/*" {
			return offers[0]
		}
		if slices.Contains(offers, headers[0]) { // nearly every request
			return headers[0]
		}
	}
	ranges := parseAccept(headers)
	if len(ranges) == 0 {
		return offers[0]
	}
	best, bestQ, bestSpecific, bestOrder := "", 0.0, -1, len(ranges)
	for _, offer := range offers {
		q, specific, order := rank(ranges, offer)
		if q > bestQ || q == bestQ && q > 0 && (specific > bestSpecific || specific == bestSpecific && order < bestOrder) {
			best, bestQ, bestSpecific, bestOrder = offer, q, specific, order
		}
	}
	return best
}

// rank finds the most specific range that matches the offer.
func rank(ranges []mediaRange, offer string) (q float64, specific, order int) {
	specific = -1
	for i, r := range ranges {
		if r.matches(offer) && r.specificity() > specific {
			q, specific, order = r.q, r.specificity(), i
		}
	}
	return q, specific, order
}

// requestType gives the media type of a Content-Type header in lower case and without parameters, "" for none. A charset other than
// UTF-8 (or its subset US-ASCII) is none that JSON can have, and makes the type unknown.
func requestType(header string) string {
	if header == "" {
		return ""
	}
	mediaType, params, err := mime.ParseMediaType(header)
	if err != nil {
		return "?"
	}
	switch strings.ToLower(params["charset"]) {
	case "", "utf-8", "utf8", "us-ascii":
		return mediaType
	}
	return "?"
}
