package task

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The vector that the Standard Webhooks libraries of every language are tested with.
func TestSignatureOfTheReferenceVector(t *testing.T) {
	key, err := ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	body := []byte(`{"test": 2432232314}`)
	if got := signature([]Secret{key}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), body); got != want {
		t.Errorf("signed %s, want %s", got, want)
	}
	both := signature([]Secret{make(Secret, 24), key}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), body)
	if parts := strings.Split(both, " "); len(parts) != 2 || parts[1] != want || parts[0] == want {
		t.Errorf("signed by two keys %s", both)
	}
}

func TestParseSecret(t *testing.T) {
	for _, text := range []string{"", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8G", "whsec_?", "whsec_" + strings.Repeat("AAAA", 30)} {
		if _, err := ParseSecret(text); err == nil || len(text) > 10 && strings.Contains(err.Error(), text[6:]) {
			t.Errorf("%q: %v", text, err)
		}
	}
	key, _ := ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if shown := fmt.Sprintf("%v %s", key, key); strings.Contains(shown, "[") || strings.Contains(shown, "MfK") {
		t.Errorf("a secret shows as %s", shown)
	}
}
