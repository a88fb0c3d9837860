package hotconfig

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"
)

// variableRank puts the variables above all files.
const variableRank = 1 << 10

// A layer is one file, in the order of precedence, lowest first.
type layer struct {
	name     string
	required bool
}

// A source knows where a configuration comes from. It does not change after newSource.
type source struct {
	options Options
	typ     reflect.Type
	layers  []layer
	env     *environ
	fixed   faults // of the environment, which reading again will not mend
}

// A reading is what all layers said at one time.
type reading struct {
	files  []content         // as source.layers
	values map[string]string // of the variables, by name
	hash   [sha256.Size]byte
}

// content is the bytes of a layer file, if there is one.
type content struct {
	data   []byte
	exists bool
	failed bool // a fault has been reported
}

func (s *source) path(l layer) string { return filepath.Join(s.options.Dir, l.name) }

// paths lists all files that a reading depends on.
func (s *source) paths() []string {
	var out []string
	for _, l := range s.layers {
		out = append(out, s.path(l))
	}
	for _, v := range s.env.vars {
		if v.file {
			out = append(out, v.value)
		}
	}
	return out
}

// read reads all layers, before anything is parsed, so that what they say was true at about the same time. Files that
// are missing and need not be there are no fault here. After a fault the reading is incomplete.
func (s *source) read(ctx context.Context, fs *faults) *reading {
	r := &reading{values: map[string]string{}}
	for rank, l := range s.layers {
		at := position{source: l.name, rank: rank}
		data, err := readStable(ctx, s.path(l))
		if missing(err) {
			s.missing(l, at, fs)
		} else if err != nil {
			fs.addErr(at, "", "cannot be read: "+plain(err), err)
		}
		failed := err != nil && (l.required || !missing(err))
		r.files = append(r.files, content{data, err == nil, failed})
	}
	for _, v := range s.env.vars {
		if !v.file {
			r.values[v.name] = v.value
			continue
		}
		data, err := readStable(ctx, v.value)
		if err != nil {
			// The value is not shown: it may be the secret itself, put into the wrong variable.
			fs.addErr(variablePosition(v.name), "", "the file it names cannot be read: "+plain(err), errors.Unwrap(err))
			continue
		}
		if len(data) > maxSize {
			fs.add(variablePosition(v.name), "", fmt.Sprintf("the file it names is larger than %d bytes", maxSize))
			continue
		}
		r.values[v.name] = strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	}
	r.hash = r.sum(s)
	return r
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

func (s *source) missing(l layer, at position, fs *faults) {
	switch {
	case !l.required:
	case l.name == s.layers[0].name:
		fs.add(at, "", "there is no such file in "+s.options.Dir+"; the lowest layer must exist")
	default:
		fs.add(at, "", "there is no such file in "+s.options.Dir+", but "+s.env.prefix+"ENV is "+s.env.name)
	}
}

// sum tells readings apart by content alone. Every part is preceded by its length, so that bytes cannot move from one
// to the next unnoticed.
func (r *reading) sum(s *source) (out [sha256.Size]byte) {
	h := sha256.New()
	part := func(p string) { fmt.Fprintf(h, "%d:%s", len(p), p) }
	for i, l := range s.layers {
		part(l.name)
		part(fmt.Sprint(r.files[i].exists))
		part(string(r.files[i].data))
	}
	for _, v := range s.env.vars {
		part(v.name)
		part(r.values[v.name])
	}
	h.Sum(out[:0])
	return out
}

// plain is the cause of a file error without the path, which the message has already.
func plain(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

const (
	readTries = 5
	readPause = 50 * time.Millisecond
)

var (
	errMoving    = errors.New("it keeps changing while it is read")
	errIrregular = errors.New("it is not a regular file")
)

// readStable reads a file that others may be writing: if it is not the same before and after, by size, time and
// identity, it is read again, five times at most with 50 ms between. At most maxSize+1 bytes are read, one more than the
// parser accepts.
func readStable(ctx context.Context, path string) ([]byte, error) {
	for try := 1; ; try++ {
		data, same, err := readOnce(path)
		if err != nil || same {
			return data, err
		}
		if try == readTries {
			return nil, errMoving
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(readPause):
		}
	}
}

func readOnce(path string) (data []byte, same bool, err error) {
	// Asked before opening, because opening a pipe would wait for its other end.
	if info, err := os.Stat(path); err != nil {
		return nil, false, err
	} else if !info.Mode().IsRegular() {
		return nil, false, errIrregular
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = f.Close() }() // it was only read
	before, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	data, err = io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, false, err
	}
	after, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	now, err := os.Stat(path)
	if err != nil {
		return nil, false, nil // gone between two looks: changing, not missing
	}
	return data, unmoved(before, after, now, len(data)), nil
}

// unmoved reports whether n bytes read between before and after are all of the file that is now at its path.
func unmoved(before, after, now fs.FileInfo, n int) bool {
	return os.SameFile(after, now) && before.Size() == after.Size() && before.ModTime().Equal(after.ModTime()) &&
		(int64(n) == after.Size() || n > maxSize)
}
