package series

import (
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cell is what the tests keep.
type cell struct {
	key string
	n   int
}

func table(most int) (*Table[string, *cell], *int) {
	made := 0
	return New(most, func(k string) *cell { made++; return &cell{key: k} }, func() *cell { made++; return &cell{key: "rest"} }), &made
}

func TestTable(t *testing.T) {
	tab, made := table(2)
	for _, step := range []struct {
		key, want string
		made      int
	}{
		{"a", "a", 1},
		{"a", "a", 1},
		{"b", "b", 2},
		{"c", "rest", 3},
		{"d", "rest", 3},
		{"a", "a", 3},
		{"c", "rest", 3},
	} {
		if got := tab.Get(step.key, nil); got.key != step.want || *made != step.made {
			t.Errorf("%s: cell %s, %d made; want %s, %d", step.key, got.key, *made, step.want, step.made)
		}
	}
	if tab.Len() != 2 {
		t.Errorf("%d keys, want 2", tab.Len())
	}
}

// Goroutines that come with the same new keys at once get the same cells, and the bound holds exactly.
func TestTableConcurrently(t *testing.T) {
	const bound, keys = 50, 200
	tab, made := table(bound)
	var mu sync.Mutex
	cells := map[string]*cell{}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range keys {
				key := strconv.Itoa((i*7 + g*31) % keys)
				c := tab.Get(key, strings.Clone)
				mu.Lock()
				if old := cells[key]; old != nil && old != c {
					t.Errorf("%s: two cells", key)
				}
				cells[key] = c
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if tab.Len() != bound || *made != bound+1 {
		t.Errorf("%d keys, %d cells made; want %d, %d", tab.Len(), *made, bound, bound+1)
	}
}

// A key that is kept must not keep the buffer that it was cut out of.
func TestTableOwnsItsKeys(t *testing.T) {
	buffer := "host.example and a megabyte more"
	tab, _ := table(1)
	kept := tab.Get(buffer[:12], strings.Clone).key
	if kept != "host.example" || unsafe.StringData(kept) == unsafe.StringData(buffer) {
		t.Errorf("%q is the buffer's", kept)
	}
}

func TestTableDoesNotAllocate(t *testing.T) {
	tab, _ := table(2)
	if n := testing.AllocsPerRun(100, func() {
		for _, k := range [...]string{"a", "b", "c"} {
			tab.Get(k, strings.Clone).n++
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestMethods(t *testing.T) {
	for i, m := range Methods() {
		if got := MethodIndex(m); got != i {
			t.Errorf("%s: %d, want %d", m, got, i)
		}
	}
	for _, m := range []string{"BREW", "get"} {
		if got := Methods()[MethodIndex(m)]; got != Other {
			t.Errorf("%q: %s", m, got)
		}
	}
	var a Active
	if len(a.methods) != len(Methods()) {
		t.Fatalf("%d counts for %d methods", len(a.methods), len(Methods()))
	}
	a.Add("POST", 2)
	a.Add("POST", -1)
	a.Add("BREW", 1)
	sum := int64(0)
	a.Each(func(m string, n int64) {
		sum += n
		if want := m == "POST" || m == Other; (n == 1) != want {
			t.Errorf("%s: %d", m, n)
		}
	})
	if sum != 2 {
		t.Errorf("sum %d", sum)
	}
}

func TestHosts(t *testing.T) {
	hosts := NewHosts(3)
	for _, c := range []struct {
		url  string
		want Host
	}{
		{"http://A.example/x", Host{"a.example", "80"}},
		{"https://a.example", Host{"a.example", "443"}},
		{"http://[2001:db8::1]:8080", Host{"2001:db8::1", "8080"}},
		{"http://one-too-many.example", Host{Other, ""}},
		{"http://a.example:80", Host{"a.example", "80"}},
	} {
		u, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		if got := hosts.Of(u); got != c.want {
			t.Errorf("%s: %v, want %v", c.url, got, c.want)
		}
	}
}
