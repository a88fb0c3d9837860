package core

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"
)

var sentinels = []error{
	ErrOpen, ErrProbing, ErrForced, ErrLimited, ErrTooCostly, ErrFull, ErrWaited, ErrTooLong, ErrLeft, ErrExpired, ErrShed,
}

func TestRejections(t *testing.T) {
	by := &Policy{Kind: KindBulkhead, Name: "db"}
	for _, tt := range []struct {
		reason Reason
		name   string
		is     error
		cause  error
		text   string
	}{
		{ReasonOpen, "open", ErrOpen, nil, "open"},
		{ReasonProbing, "probing", ErrProbing, nil, "half-open and probing"},
		{ReasonForced, "forced_open", ErrForced, nil, "forced open"},
		{ReasonLimited, "limited", ErrLimited, nil, "rate limited"},
		{ReasonTooCostly, "too_costly", ErrTooCostly, nil, "costs more than the limit"},
		{ReasonFull, "full", ErrFull, nil, "full"},
		{ReasonWaited, "waited", ErrWaited, nil, "waited too long"},
		{ReasonTooLong, "too_long", ErrTooLong, nil, "would wait too long"},
		{ReasonLeft, "left", ErrLeft, context.Canceled, "canceled while waiting"},
		{ReasonExpired, "expired", ErrExpired, context.DeadlineExceeded, "deadline passed while waiting"},
		{ReasonShed, "shed", ErrShed, nil, "shed"},
		{reasons, "unknown", ErrRejected, nil, "rejected"}, // of a machine newer than this package
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Decision{By: by, RetryAfter: 4200 * time.Millisecond, Verdict: Verdict{Reason: tt.reason}}
			err := fmt.Errorf("call: %w", d.Err())
			var r *Rejection
			if !errors.As(err, &r) || *r != (Rejection{KindBulkhead, "db", tt.reason, 4200 * time.Millisecond}) {
				t.Fatalf("%#v", err)
			}
			if d.Admitted() || !errors.Is(err, ErrRejected) || !errors.Is(err, tt.is) {
				t.Errorf("%v is not %v", err, tt.is)
			}
			for _, other := range sentinels {
				if other != tt.is && errors.Is(err, other) {
					t.Errorf("%v is %v too", err, other)
				}
			}
			for _, cause := range []error{context.Canceled, context.DeadlineExceeded} {
				if errors.Is(err, cause) != (cause == tt.cause) {
					t.Errorf("errors.Is(%v, %v) is %v", err, cause, cause != tt.cause)
				}
			}
			if want := `bulkhead "db": ` + tt.text + `, retry after 4.2s`; r.Error() != want {
				t.Errorf("text %q, want %q", r.Error(), want)
			}

			shadow := tt.reason.InShadow()
			d.Reason = shadow
			if d.Err() != nil || !d.Admitted() || !shadow.Shadow() || shadow.Base() != tt.reason {
				t.Errorf("in shadow: %v, admitted %v", d.Err(), d.Admitted())
			}
			if tt.reason.String() != tt.name || shadow.String() != tt.name || tt.reason.Err() != tt.is || shadow.Err() != tt.is {
				t.Errorf("%v and %v, %v", tt.reason, shadow, shadow.Err())
			}
		})
	}
	if len(sentinels) != int(reasons)-1 {
		t.Errorf("%d sentinels, %d reasons", len(sentinels), reasons-1)
	}
}

func TestAdmittedHasNoError(t *testing.T) {
	d := Decision{By: &Policy{Name: "db"}, RetryAfter: time.Second}
	if err := d.Err(); err != nil || !d.Admitted() || d.Reason.Err() != nil || d.Reason.String() != "admitted" || d.Reason.Shadow() {
		t.Errorf("%v, %v", err, d)
	}
}

func TestRejectionText(t *testing.T) {
	for _, tt := range []struct {
		r    Rejection
		want string
	}{
		{Rejection{KindBreaker, "a", ReasonOpen, 0}, `breaker "a": open`},
		{Rejection{KindRateLimit, `x"y`, ReasonTooCostly, Never}, `ratelimit "x\"y": costs more than the limit`},
		{Rejection{KindBreaker, "a", ReasonOpen, 1234567 * time.Microsecond}, `breaker "a": open, retry after 1.235s`},
		{Rejection{}, ` "": rejected`},
	} {
		if got := tt.r.Error(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
	r := &Rejection{}
	if r.Is(nil) || !r.Is(ErrRejected) || r.Unwrap() != nil {
		t.Error("the zero Rejection is no mere rejection")
	}
}

// Permit and Decision together are returned in the nine integer registers of the Go ABI, and a Call comes in beside a
// receiver and a context. A Decision has at most four fields and four words: more, and the compiler keeps it in memory.
func TestWordsStayWithinRegisters(t *testing.T) {
	var words func(reflect.Type) int
	words = func(rt reflect.Type) (n int) {
		switch rt.Kind() {
		case reflect.Struct:
			for field := range rt.Fields() {
				n += words(field.Type)
			}
			return n
		case reflect.Interface, reflect.String:
			return 2
		case reflect.Slice:
			return 3
		case reflect.Array, reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
			t.Fatalf("%v does not go in integer registers", rt)
		}
		return 1
	}
	if n := words(reflect.TypeFor[Permit]()) + words(reflect.TypeFor[Decision]()); n > 9 {
		t.Errorf("Permit and Decision take %d words, the limit is 9", n)
	}
	if n := words(reflect.TypeFor[Call]()); n > 6 {
		t.Errorf("Call takes %d words, the limit is 6", n)
	}
	decision, word := reflect.TypeFor[Decision](), reflect.TypeFor[uintptr]().Size()
	if n := decision.NumField(); n > 4 || word == 8 && decision.Size() > 4*word {
		t.Errorf("Decision has %d fields and %d bytes, the limit is 4 and 32", n, decision.Size())
	}
}

func TestCallTokens(t *testing.T) {
	if (Call{}).Tokens() != 1 || (Call{Cost: 1}).Tokens() != 1 || (Call{Cost: 1<<32 - 1}).Tokens() != 1<<32-1 {
		t.Error("a call costs what it says, and 1 if it says nothing")
	}
}

func TestOnlyTheErrorAllocates(t *testing.T) {
	d := Decision{By: &Policy{Kind: KindBreaker, Name: "a"}, Verdict: Verdict{Reason: ReasonOpen}}
	var err error
	if n := testing.AllocsPerRun(100, func() { err = d.Err() }); n != 1 {
		t.Errorf("%v allocations for %v, want 1", n, err)
	}
	d.Reason = 0
	if n := testing.AllocsPerRun(100, func() { err = d.Err() }); n != 0 || err != nil {
		t.Errorf("%v allocations for %v, want 0", n, err)
	}
}
