package hotconfig

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestUnmoved(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	stat := func(p string) fs.FileInfo {
		t.Helper()
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	put(t, dir, "f", "abc")
	first := stat(path)
	if !unmoved(first, first, first, 3) {
		t.Error("a quiet file has moved")
	}
	if unmoved(first, first, first, 2) {
		t.Error("a byte is missing, and nobody minds")
	}
	if err := os.Chtimes(path, time.Time{}, first.ModTime().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	later := stat(path)
	if unmoved(first, later, later, 3) {
		t.Error("written again with the same size, and nobody minds")
	}
	put(t, dir, "f", "abcdef")
	if longer := stat(path); unmoved(later, longer, longer, 6) {
		t.Error("grown while it was read, and nobody minds")
	}
	put(t, dir, "g", "xyz")
	if err := os.Rename(filepath.Join(dir, "g"), path); err != nil {
		t.Fatal(err)
	}
	if unmoved(first, first, stat(path), 3) {
		t.Error("replaced while it was read, and nobody minds")
	}
}

// What is no file must not be waited for, as opening a pipe would.
func TestIrregularFiles(t *testing.T) {
	for _, path := range []string{t.TempDir(), os.DevNull} {
		if _, err := readStable(t.Context(), path); !errors.Is(err, errIrregular) {
			t.Errorf("%s: %v", path, err)
		}
	}
	_, err := load[config](t, files{"default.yaml": ""}, "APP_TOKEN_FILE="+t.TempDir())
	checkError(t, "", err, "APP_TOKEN_FILE: the file it names cannot be read: it is not a regular file")
	dir := files{"big": string(make([]byte, maxSize+1)), "default.yaml": ""}.write(t)
	_, err = Load[config](Options{Dir: dir, Environ: []string{"APP_TOKEN_FILE=" + filepath.Join(dir, "big")}, Logger: silent})
	checkError(t, "", err, "APP_TOKEN_FILE: the file it names is larger than 1048576 bytes")
}

// Bytes that move from one source to the next make another hash.
func TestTheHashTellsSourcesApart(t *testing.T) {
	src := &source{layers: []layer{{name: "default.yaml"}, {name: "x.yaml"}}, env: &environ{}}
	seen := map[[32]byte]bool{}
	for _, f := range [][]content{
		{{data: []byte("a"), exists: true}, {data: []byte("b"), exists: true}},
		{{data: []byte("ab"), exists: true}, {exists: true}},
		{{exists: true}, {data: []byte("ab"), exists: true}},
		{{data: []byte("ab"), exists: true}, {}},
		{{data: []byte("x.yamltrue"), exists: true}, {exists: true}},
		{{exists: true}, {data: []byte("x.yamltrue"), exists: true}},
	} {
		r := &reading{files: f}
		seen[r.sum(src)] = true
	}
	if len(seen) != 6 {
		t.Errorf("%d hashes of 6 readings", len(seen))
	}
}
