package pool_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/pool"
)

// session stands for a connection.
type session struct{ id int }

func (s *session) Close() error { fmt.Println("closed", s.id); return nil }

// dialer returns a function that opens sessions numbered from 1.
func dialer() func(context.Context) (*session, error) {
	id := 0
	return func(context.Context) (*session, error) { id++; return &session{id}, nil }
}

func ExampleDo() {
	ctx := context.Background()
	p, err := pool.New("db", pool.Config{Max: 4}, pool.Hooks[*session]{Create: dialer(), Close: (*session).Close})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 { // the second call has the session of the first
		text, err := pool.Do(ctx, p, func(_ context.Context, s *session) (string, error) {
			return fmt.Sprint("answer of session ", s.id), nil
		})
		fmt.Println(text, err)
	}
	_, err = pool.Do(ctx, p, func(context.Context, *session) (string, error) {
		return "", errors.New("broken pipe") // nobody knows what is in that session now
	})
	fmt.Println(err)
	fmt.Println(p.Close(ctx))
	// Output:
	// answer of session 1 <nil>
	// answer of session 1 <nil>
	// broken pipe
	// closed 1
	// <nil>
}

func ExamplePool_Acquire() {
	ctx := context.Background()
	p, err := pool.New("db", pool.Config{Max: 1, Queue: core.None}, pool.Hooks[*session]{Create: dialer()})
	if err != nil {
		fmt.Println(err)
		return
	}
	lease, err := p.Acquire(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("session", lease.Value().id)
	_, err = p.Acquire(ctx)
	fmt.Println(err, errors.Is(err, core.ErrFull))
	lease.Release() // in a defer, in earnest
	lease.Release() // does nothing
	fmt.Println("idle:", p.Snapshot().Idle)
	fmt.Println(p.Close(ctx))
	_, err = p.Acquire(ctx)
	fmt.Println(err, errors.Is(err, pool.ErrClosed))
	// Output:
	// session 1
	// pool "db": full true
	// idle: 1
	// <nil>
	// pool "db": closed true
}

// A resource that was idle for a while is asked whether it is still there.
func ExampleHooks_validate() {
	ctx := context.Background()
	p, err := pool.New("db", pool.Config{Max: 2, ValidateAfter: time.Millisecond}, pool.Hooks[*session]{
		Create:   dialer(),
		Validate: func(_ context.Context, s *session) error { return errors.New("gone away") },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	use := func() {
		lease, err := p.Acquire(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer lease.Release()
		fmt.Println("session", lease.Value().id)
	}
	use()
	time.Sleep(2 * time.Millisecond)
	use()
	fmt.Println("invalid:", p.Snapshot().Invalid)
	fmt.Println(p.Close(ctx))
	// Output:
	// session 1
	// session 2
	// invalid: 1
	// <nil>
}

func ExampleBuffers() {
	buffers, err := pool.NewBuffers(1 << 16) // larger ones are not kept
	if err != nil {
		fmt.Println(err)
		return
	}
	b := buffers.Get(64)
	defer buffers.Put(b)
	b.B = strconv.AppendInt(b.B, 42, 10) // anything that appends
	fmt.Fprintf(b, " is %s", "the answer")
	fmt.Printf("%s\n", b.Slice(0, 2)) // no copy
	fmt.Printf("%s\n", b.B)
	// Output:
	// 42
	// 42 is the answer
}

func ExampleObjects() {
	type request struct{ fields []string }
	requests := pool.NewObjects(nil, func(r *request) bool {
		clear(r.fields) // holds on to no string
		r.fields = r.fields[:0]
		return cap(r.fields) <= 1024
	})
	r := requests.Get()
	r.fields = append(r.fields, "a", "b")
	fmt.Println(r.fields)
	requests.Put(r)
	// Output:
	// [a b]
}
