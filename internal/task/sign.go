package task

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Secret is a key that signs callbacks, as Standard Webhooks has it.
type Secret []byte

const secretPrefix = "whsec_"

// ParseSecret reads whsec_ and base64 of 24 to 64 bytes.
func ParseSecret(s string) (Secret, error) {
	text, ok := strings.CutPrefix(s, secretPrefix)
	if !ok {
		return nil, errors.New("a callback secret begins with whsec_")
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("a callback secret is whsec_ and base64") // the cause quotes the secret
	}
	if len(key) < 24 || len(key) > 64 {
		return nil, fmt.Errorf("a callback secret has 24 to 64 bytes, this one has %d", len(key))
	}
	return key, nil
}

// String shows nothing of the key.
func (Secret) String() string { return "<secret>" }

// signature signs a callback with each key: receivers that know any of them find theirs, which is how keys are changed.
func signature(keys []Secret, id string, at time.Time, body []byte) string {
	var out strings.Builder
	for i, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		mac.Write(body)
		if i > 0 {
			out.WriteByte(' ')
		}
		out.WriteString("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return out.String()
}
