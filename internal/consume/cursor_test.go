package consume

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func cursorOf(topic string, whole bool, offsets map[int32]int64) Cursor {
	c := Cursor{Topic: topic, Whole: whole, Next: []Position{}}
	for p, o := range offsets {
		c.Advance(p, o)
	}
	return c
}

func TestCursorRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := cursorOf(rapid.StringMatching(`[a-z._-]{1,20}`).Draw(t, "topic"), rapid.Bool().Draw(t, "whole"),
			rapid.MapOf(rapid.Int32Min(0), rapid.Int64Min(0)).Draw(t, "offsets"))
		got, err := ParseCursor(c.Topic, c.String())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, got); diff != "" {
			t.Fatal(diff)
		}
		if first := c.String()[0]; first != 'A' {
			t.Fatalf("begins with %c: it could be taken for a number or a time", first)
		}
	})
}

func TestCursorRefusesWhatItDidNotWrite(t *testing.T) {
	good := cursorOf("orders", true, map[int32]int64{0: 17, 3: 1 << 40}).String()
	if _, err := ParseCursor("orders", good); err != nil {
		t.Fatal(err)
	}
	flipped := []byte(good)
	flipped[6] ^= 1
	for name, bad := range map[string]string{
		"empty": "", "text": "hello", "another version": "Ag" + good[2:], "shortened": good[:len(good)-2], "padded": good + "==", "flipped": string(flipped),
	} {
		if c, err := ParseCursor("orders", bad); err == nil {
			t.Errorf("%s: %q is taken for %v", name, bad, c)
		}
	}
	if _, err := ParseCursor("other", good); err == nil {
		t.Error("a cursor of another topic is taken")
	}
}

func FuzzParseCursor(f *testing.F) {
	f.Add("AQEBAAD_____")
	f.Add(cursorOf("t", true, map[int32]int64{0: 1, 1: 2}).String())
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCursor("t", text)
		if err == nil && c.String() != text {
			t.Errorf("%q reads as %v, which is written %q", text, c, c.String())
		}
	})
}
