package answer_test

import (
	"testing"

	"emujail/tmcd-mock/answer"
)

// TestTmccTest: a test is what the text begins with; a delay is for UDP too.
func TestTmccTest(t *testing.T) {
	tb := recordedBed(t)
	for _, v := range []visit{
		{"of any length", "", "VERSION=40 tmcctest noreplyatall ", "", answer.UDP},
		{"over UDP", "", "VERSION=40 tmcctest delayreply 3 ", "replied after 3 seconds\n", answer.UDP},
		{"no delay", "", "VERSION=40 tmcctest delayreply 0 ", "replied after 0 seconds\n", ""},
		{"no blank", "", "VERSION=40 tmcctest delayreply2x ", "replied after 2 seconds\n", ""},
		{"no number", "", "VERSION=40 tmcctest delayreply ", "bogus delay value\n", ""},
		{"split over UDP", "", "VERSION=40 tmcctest splitreply ", "no such UDP test\n", answer.UDP},
	} {
		v.check(t, tb)
	}
}
