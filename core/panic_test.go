package core

import (
	"errors"
	"strings"
	"testing"
)

func recovered(value any) (e *PanicError) {
	defer func() { e = Recovered(recover()) }()
	explodes(value)
	return nil
}

func explodes(value any) { panic(value) }

func TestRecovered(t *testing.T) {
	errDown := errors.New("down")
	for _, tt := range []struct {
		value any
		is    error
		text  string
	}{
		{errDown, errDown, "down\n\n"},
		{"a word", nil, "a word\n\n"},
		{7, nil, "7\n\n"},
	} {
		e := recovered(tt.value)
		if e.Value != tt.value || e.Unwrap() != tt.is {
			t.Errorf("%v became %v, which wraps %v", tt.value, e.Value, e.Unwrap())
		}
		if text := e.Error(); !strings.HasPrefix(text, tt.text) || !strings.Contains(text, "core.explodes") {
			t.Errorf("the text of %v has lost the value or the stack: %s", tt.value, text)
		}
	}
	if e := recovered(nil); e.Value == nil {
		t.Error("panic(nil) became no panic")
	}
}

// A panic that crosses two goroutines keeps the stack where it began.
func TestRecoveredTwice(t *testing.T) {
	first := recovered("once")
	if again := recovered(first); again != first {
		t.Errorf("%v was wrapped again", first.Value)
	}
}
