package httpmw

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw"
)

func TestIdempotencyKeyAfterGoexit(t *testing.T) {
	for once, want := range map[bool]int{false: 201, true: 409} {
		exits := true
		l := &runs{h: func(w http.ResponseWriter, _ *http.Request) {
			if exits {
				runtime.Goexit()
			}
			w.WriteHeader(http.StatusCreated)
		}}
		h := keyed(l, IdempotencyKeyConfig{Once: once})
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.ServeHTTP(httptest.NewRecorder(), withKey(`"k"`, "a"))
		}()
		<-done
		exits = false
		equal(t, "again", do(h, withKey(`"k"`, "a")).Code, want)
	}
}

// A Timeout outside answers for a handler that did not, and its answer is nobody's reply.
func TestIdempotencyKeyInsideATimeout(t *testing.T) {
	for name, say := range map[string]string{"silent": "", "a part": "part"} {
		synctest.Test(t, func(t *testing.T) {
			slow := true
			l := &runs{h: func(w http.ResponseWriter, r *http.Request) {
				switch {
				case !slow:
					fmt.Fprint(w, "whole")
				case say != "":
					fmt.Fprint(w, say)
					fallthrough
				default:
					<-r.Context().Done()
				}
			}}
			h := mw.Must(Timeout(newTimeout(time.Second)))(keyed(l, IdempotencyKeyConfig{}))
			equal(t, name, do(h, withKey(`"k"`, "a")).Code, 503)
			slow = false
			equal(t, name+", again", do(h, withKey(`"k"`, "a")).Body.String(), "whole")
			equal(t, name+", runs", l.n.Load(), 2)
		})
	}
}

// The reply is in the store before the client has it: whoever has seen it will see it again.
func TestIdempotencyKeyKeepsBeforeItSends(t *testing.T) {
	store := &spyStore{IdempotencyStore: newIdempotencyMemory(1 << 20)}
	w := httptest.NewRecorder()
	store.settle = func() {
		if w.Body.Len() > 0 {
			t.Error("sent before it was kept")
		}
	}
	keyed(&runs{}, IdempotencyKeyConfig{Store: store}).ServeHTTP(w, withKey(`"k"`, "a"))
	equal(t, "settled", store.settled, 1)
	equal(t, "body", w.Body.String(), "run 1 of a")
}

// spyStore is a store that somebody watches, and that may fail.
type spyStore struct {
	IdempotencyStore
	settle  func()
	settled int
	err     error
	hangs   bool
}

func (s *spyStore) Claim(ctx context.Context, key string, entry []byte, lease time.Duration) ([]byte, error) {
	if s.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if s.err != nil {
		return nil, s.err
	}
	return s.IdempotencyStore.Claim(ctx, key, entry, lease)
}

func (s *spyStore) Settle(ctx context.Context, key string, claimed, entry []byte, ttl time.Duration) error {
	s.settled++
	if s.settle != nil {
		s.settle()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.IdempotencyStore.Settle(ctx, key, claimed, entry, ttl)
}

// Without its store nothing runs: it could be the second time.
func TestIdempotencyKeyWithoutItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, store := range map[string]*spyStore{"error": {err: errors.New("no redis")}, "hang": {hangs: true}} {
			l := &runs{}
			begin := time.Now()
			w := do(keyed(l, IdempotencyKeyConfig{Store: store}), withKey(`"k"`, "a"))
			equal(t, name, fmt.Sprint(w.Code, w.Header().Get("Retry-After")), "5031")
			equal(t, name+", runs", l.n.Load(), 0)
			if took := time.Since(begin); took > 250*time.Millisecond {
				t.Errorf("%s: took %v", name, took)
			}
		}
	})
}

// A client that leaves while its request runs finds the reply when it comes again.
func TestIdempotencyKeyOfAClientThatLeft(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	l := &runs{h: func(w http.ResponseWriter, _ *http.Request) { leave(); fmt.Fprint(w, "done") }}
	h := keyed(l, IdempotencyKeyConfig{Store: &spyStore{IdempotencyStore: newIdempotencyMemory(1 << 20)}})
	do(h, withKey(`"k"`, "a").WithContext(ctx))
	equal(t, "again", do(h, withKey(`"k"`, "a")).Body.String(), "done")
	equal(t, "runs", l.n.Load(), 1)
}

// A request that runs beyond its lease is overtaken, and its end changes nothing of the one that overtook it.
func TestIdempotencyKeyOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &runs{}
		l.h = func(w http.ResponseWriter, _ *http.Request) {
			if n := l.n.Load(); n == 1 {
				time.Sleep(2 * time.Minute)
				fmt.Fprint(w, "first")
			} else {
				fmt.Fprint(w, "second")
			}
		}
		h := keyed(l, IdempotencyKeyConfig{Lease: time.Minute})
		go do(h, withKey(`"k"`, "a"))
		synctest.Wait()
		time.Sleep(time.Minute)
		equal(t, "after the lease", do(h, withKey(`"k"`, "a")).Body.String(), "second")
		time.Sleep(2 * time.Minute)
		equal(t, "after the first", do(h, withKey(`"k"`, "a")).Body.String(), "second")
	})
}
