package hotconfig

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestDirectories(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	in := func(p string) string { return filepath.Join(root, p) }
	must(os.MkdirAll(in("real/..v1"), 0o700))
	must(os.WriteFile(in("real/..v1/default.yaml"), nil, 0o600))
	must(os.Symlink("..v1", in("real/..data")))
	must(os.Symlink("..data/default.yaml", in("real/default.yaml")))
	must(os.Symlink(in("real"), in("link")))
	must(os.Symlink("loop", in("loop")))
	must(os.Symlink("nowhere/x", in("dangling")))
	for path, want := range map[string]string{
		"real/..v1/default.yaml":        "real/..v1",
		"real/default.yaml":             "real real/..v1",
		"link/default.yaml":             ". real real/..v1",
		"real/absent.yaml":              "real",
		"gone/away/default.yaml":        ".",
		"dangling":                      ".",
		"real/..v1/default.yaml/inside": "real/..v1",
		"loop":                          ".",
	} {
		var want2 []string
		for d := range strings.SplitSeq(want, " ") {
			want2 = append(want2, in(d))
		}
		got := directories(in(path))
		slices.Sort(got)
		got = slices.Compact(got)
		slices.Sort(want2)
		if !slices.Equal(got, want2) {
			t.Errorf("%s: %v, want %v", path, got, want2)
		}
	}
	if got := directories("/"); len(got) != 1 {
		t.Errorf("root: %v", got)
	}
}
