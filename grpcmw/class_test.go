package grpcmw

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/mw-go/mw/core"
)

// Whose word counts: that of trusted callers, then what is asked for; and retries go first.
func TestByClass(t *testing.T) {
	byMethod := func(_ context.Context, i Info) core.Class {
		if i.Method == "/s/batch" {
			return core.SheddablePlus
		}
		return core.Unclassified
	}
	const key = "request-criticality"
	for _, tt := range []struct {
		name   string
		md     metadata.MD
		method string
		conf   ClassConfig
		want   core.Class
	}{
		{"nothing", nil, "/s/m", ClassConfig{}, core.Unclassified},
		{"by method", nil, "/s/batch", ClassConfig{Class: byMethod}, core.SheddablePlus},
		{"not trusted", metadata.MD{key: {"critical-plus"}}, "/s/batch", ClassConfig{Class: byMethod}, core.SheddablePlus},
		{"trusted", metadata.MD{key: {"critical-plus"}}, "/s/batch", ClassConfig{Class: byMethod, Trusted: trust}, core.CriticalPlus},
		{"as protobuf writes it", metadata.MD{key: {"SHEDDABLE_PLUS"}}, "/s/m", ClassConfig{Trusted: trust}, core.SheddablePlus},
		{"nonsense", metadata.MD{key: {"very"}}, "/s/batch", ClassConfig{Class: byMethod, Trusted: trust}, core.SheddablePlus},
		{"twice", metadata.MD{key: {"critical", "critical"}}, "/s/m", ClassConfig{Trusted: trust}, core.Unclassified},
		{"another key", metadata.MD{"x-class": {"critical"}}, "/s/m", ClassConfig{Trusted: trust, Key: "x-class"}, core.Critical},
		{"a retry", metadata.MD{key: {"critical-plus"}, keyAttempts: {"1"}}, "/s/m", ClassConfig{Trusted: trust}, core.Sheddable},
		{"a retry that is kept", metadata.MD{key: {"critical-plus"}, keyAttempts: {"1"}}, "/s/m", ClassConfig{Trusted: trust, KeepRetries: true}, core.CriticalPlus},
		{"no retry", metadata.MD{keyAttempts: {"0"}}, "/s/m", ClassConfig{}, core.Unclassified},
		{"malformed", metadata.MD{keyAttempts: {"many"}}, "/s/m", ClassConfig{}, core.Unclassified},
		{"malformed twice", metadata.MD{keyAttempts: {"1", "1"}}, "/s/m", ClassConfig{}, core.Unclassified},
	} {
		ctx := metadata.NewIncomingContext(context.Background(), tt.md)
		if got := ByClass(tt.conf)(ctx, Info{Method: tt.method}); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	for _, key := range []string{"Upper", "grpc-x", "x-bin"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q was taken", key)
				}
			}()
			ByClass(ClassConfig{Key: key})
		}()
	}
}

func trust(context.Context, Info) bool { return true }

// The class goes from hop to hop, in the word of whoever calls, and a client's own word ends at the first server.
func TestCriticality(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard []core.Class
		back := dial(t, Criticality(ClassConfig{Trusted: trust}), Criticality())
		back.service.serve = func(ctx context.Context, s grpc.ServerStream) error {
			heard = append(heard, ClassOf(ctx))
			return nil
		}
		front := dial(t, Criticality(), Criticality()) // believes nobody
		front.service.serve = func(ctx context.Context, s grpc.ServerStream) error {
			in, _ := metadata.FromIncomingContext(ctx)
			ctx = metadata.NewOutgoingContext(ctx, in.Copy()) // as proxies do
			return back.call(ctx, unary, nil)
		}
		for k := range kinds {
			for class := core.Unclassified; class <= core.Sheddable+1; class++ {
				heard = nil
				if err := back.call(WithClass(context.Background(), class), k, nil); k != clientStreaming && err != nil {
					t.Fatal(err)
				}
				want := class
				if class > core.Sheddable {
					want = core.Unclassified
				}
				if !slices.Equal(heard, []core.Class{want}) {
					t.Errorf("%v: sent %d, heard %v", k, class, heard)
				}
			}
		}
		heard = nil
		if err := front.call(WithClass(context.Background(), core.CriticalPlus), unary, nil); err != nil {
			t.Fatal(err)
		}
		ctx := metadata.AppendToOutgoingContext(WithClass(context.Background(), core.Sheddable), "request-criticality", "critical")
		if err := back.call(ctx, unary, nil); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(heard, []core.Class{core.Unclassified, core.Sheddable}) {
			t.Errorf("heard %v", heard)
		}
	})
}

// A name is read as it is written, whatever comes.
func FuzzClassNamed(f *testing.F) {
	for _, s := range []string{"", "critical", "CRITICAL_PLUS", "sheddable-plus", "sheddable-pluss", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		class := classNamed(s)
		if class > core.Sheddable || class != core.Unclassified && classNamed(classNames[class]) != class {
			t.Errorf("%q: %d", s, class)
		}
	})
}
