package hotconfig

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// twins must always agree: a is the first line of the file and b the last, and a file cut off between them is valid.
type twins struct {
	A    int
	Note string
	B    int
}

func twinFile(n int) (first, rest string) {
	return fmt.Sprintf("a: %d\nnote: \"%0200d\"\n", n, n), fmt.Sprintf("b: %d\n", n)
}

// An edit brings version n into dir. It returns for how long half of it could be read, if its way of writing has
// such a time.
type edit func(t *testing.T, dir string, n int, w *waiter) (half time.Duration)

func check(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func inPlace(t *testing.T, path string, n int) time.Duration {
	first, rest := twinFile(n)
	start := time.Now()
	check(t, os.WriteFile(path, []byte(first+rest), 0o600))
	return time.Since(start)
}

// The ways in which files are changed in practice.
var edits = map[string]edit{
	"written in place": func(t *testing.T, dir string, n int, _ *waiter) time.Duration {
		return inPlace(t, filepath.Join(dir, "default.yaml"), n)
	},
	"temporary file renamed over it": func(t *testing.T, dir string, n int, _ *waiter) time.Duration {
		temp := filepath.Join(dir, ".default.yaml.tmp")
		inPlace(t, temp, n)
		check(t, os.Rename(temp, filepath.Join(dir, "default.yaml")))
		return 0
	},
	"vim: renamed to a backup, created, backup removed": func(t *testing.T, dir string, n int, _ *waiter) time.Duration {
		path := filepath.Join(dir, "default.yaml")
		check(t, os.Rename(path, path+"~"))
		half := inPlace(t, path, n)
		check(t, os.Remove(path+"~"))
		return half
	},
	"deleted, created 20 ms later": func(t *testing.T, dir string, n int, _ *waiter) time.Duration {
		path := filepath.Join(dir, "default.yaml")
		check(t, os.Remove(path))
		time.Sleep(20 * time.Millisecond)
		return inPlace(t, path, n)
	},
	"ConfigMap: ..data swapped": func(t *testing.T, dir string, n int, _ *waiter) time.Duration {
		name := fmt.Sprintf("..v%d", n)
		check(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		inPlace(t, filepath.Join(dir, name, "default.yaml"), n)
		temp, data := filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")
		old, err := os.Readlink(data)
		check(t, err, os.Symlink(name, temp), os.Rename(temp, data), os.RemoveAll(filepath.Join(dir, old)))
		return 0
	},
	"truncated, the rest 50 ms later": func(t *testing.T, dir string, n int, _ *waiter) time.Duration {
		first, rest := twinFile(n)
		f, err := os.Create(filepath.Join(dir, "default.yaml"))
		check(t, err)
		start := time.Now()
		_, err = f.WriteString(first)
		check(t, err)
		time.Sleep(50 * time.Millisecond)
		_, err = f.WriteString(rest)
		half := time.Since(start)
		check(t, err, f.Close())
		return half
	},
	"broken, then fixed": func(t *testing.T, dir string, n int, w *waiter) time.Duration {
		path := filepath.Join(dir, "default.yaml")
		first, rest := twinFile(n)
		check(t, os.WriteFile(path, []byte(first+"note: [\n"+rest), 0o600))
		w.until(t, Rejected)
		return inPlace(t, path, n)
	},
}

// Every way of changing a file, many times over, while a reader looks on: each version comes into force, and nothing that
// was half written or invalid is ever seen.
func TestEveryWayOfWritingAFile(t *testing.T) {
	const rounds = 20
	var all sync.WaitGroup // not t.Parallel, which would run two at a time on two processors: these mostly wait
	defer all.Wait()
	for name, write := range edits {
		all.Go(func() {
			t.Run(name, func(t *testing.T) {
				dir := t.TempDir()
				start := dir
				if name == "ConfigMap: ..data swapped" {
					start = filepath.Join(dir, "..v0")
					check(t, os.Mkdir(start, 0o700), os.Symlink("..v0", filepath.Join(dir, "..data")),
						os.Symlink("..data/default.yaml", filepath.Join(dir, "default.yaml")))
				}
				inPlace(t, filepath.Join(start, "default.yaml"), 0)
				l, w := watched[twins](t, Options{Dir: dir})
				r := look(l)
				for n := 1; n <= rounds; n++ {
					// The promise is that a pause below Debounce is not seen. A machine so busy that the pause became
					// longer has not put it to the test.
					if half := write(t, dir, n, w); half > l.src.options.Debounce*8/10 {
						t.Logf("version %d took %v to write and is not judged", n, half)
						r.excuse(n)
					}
					for l.Get().A != n || l.Get().B != n {
						w.until(t, Loaded)
					}
				}
				r.judge(t, rounds)
			})
		})
	}
}

// reader looks at a Live until it is stopped and remembers what should not be.
type reader struct {
	mu      sync.Mutex // guards what follows
	seen    map[int]bool
	torn    map[int]twins
	excused map[int]bool
	stop    func()
}

func look(l *Live[twins]) *reader {
	r := &reader{seen: map[int]bool{}, torn: map[int]twins{}, excused: map[int]bool{}}
	l.OnChange(func(_, new *twins) { r.see(new) }) // what is in force too briefly for the goroutine
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			r.see(l.Get())
			select {
			case <-done:
				return
			case <-time.After(100 * time.Microsecond): // not spinning: the writers need the processor
			}
		}
	}()
	r.stop = func() { close(done); <-ended }
	return r
}

func (r *reader) see(c *twins) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[c.A] = true
	if c.A != c.B || c.Note != fmt.Sprintf("%0200d", c.A) {
		r.torn[c.A] = *c
	}
}

func (r *reader) excuse(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.excused[n] = true
}

func (r *reader) judge(t *testing.T, rounds int) {
	t.Helper()
	r.stop()
	for n, c := range r.torn {
		if !r.excused[n] {
			t.Errorf("half of version %d was in force: a %d, b %d", n, c.A, c.B)
		}
	}
	if len(r.seen) < rounds {
		t.Errorf("%d versions seen, want %d", len(r.seen), rounds)
	}
	if len(r.excused) > rounds/2 {
		t.Errorf("only %d of %d versions were judged", rounds-len(r.excused), rounds)
	}
}
