package hotconfig

import (
	"os"
	"path/filepath"
	"strings"
)

// maxHops bounds the symbolic links followed for one path, as the kernel does.
const maxHops = 40

// directories returns the directories in which something must change before the content of path can: the one of the
// file itself and the one of every symbolic link on the way. A mounted ConfigMap has two links, default.yaml to
// ..data/default.yaml and ..data to a directory named for the time; an update swaps the second.
//
// Where the way ends before the file, because it or a directory is missing, the last directory that exists is returned:
// that is where it must reappear.
func directories(path string) []string {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil
	}
	var out []string
	for range maxHops {
		link, dir := walk(path)
		out = append(out, dir)
		if link == "" {
			break
		}
		target, err := os.Readlink(link)
		if err != nil {
			break // it was a link a moment ago; its directory is watched
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(dir, target)
		}
		path = filepath.Join(target, strings.TrimPrefix(path, link))
	}
	return out
}

// walk goes down path to the first symbolic link and returns it with its directory. Without a link on the way it returns
// the directory of the file, or the last one that exists.
func walk(path string) (link, dir string) {
	volume := filepath.VolumeName(path)
	dir = volume + string(filepath.Separator)
	rest := strings.TrimPrefix(path, dir)
	for {
		name, more, inside := strings.Cut(rest, string(filepath.Separator))
		here := filepath.Join(dir, name)
		info, err := os.Lstat(here)
		switch {
		case err != nil:
			return "", dir
		case info.Mode()&os.ModeSymlink != 0:
			return here, dir
		case !info.IsDir() || !inside:
			return "", dir
		}
		dir, rest = here, more
	}
}
