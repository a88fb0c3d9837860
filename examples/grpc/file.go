package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mw-go/mw/hotconfig"
)

// copyConfig makes a configuration that the demo may edit, with a shorter window so that the story stays short.
func (st *story) copyConfig(dir string) (copied string, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "default.yaml"))
	if err != nil {
		return "", err
	}
	if copied, err = os.MkdirTemp("", "mw-shop-"); err != nil {
		return "", err
	}
	st.file = filepath.Join(copied, "default.yaml")
	if err = os.WriteFile(st.file, text, 0o600); err != nil {
		return copied, err
	}
	return copied, st.edit("window: 10s", "window: 2s", "limit: 50\n", "limit: 1000\n")
}

// edit replaces texts in the file by those that follow them, in place.
func (st *story) edit(pairs ...string) error {
	content, err := os.ReadFile(st.file)
	if err != nil {
		return err
	}
	text := string(content)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			return fmt.Errorf("%s does not contain %q", st.file, pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return os.WriteFile(st.file, []byte(text), 0o600)
}

// reload edits the file and waits until what it says is in force.
func (st *story) reload(pairs ...string) (loaded observed[hotconfig.Event], ok bool) {
	version := st.live.Version().Number
	if err := st.edit(pairs...); err != nil {
		st.say("%v", err)
		return loaded, false
	}
	return await(st.ctx, st.loads, func(e hotconfig.Event) bool {
		return e.Result == hotconfig.Loaded && e.Version.Number > version
	})
}

// positionOf returns the line and column of the first place in the file that contains text.
func (st *story) positionOf(text string) (line, column int) {
	content, err := os.ReadFile(st.file)
	if err != nil {
		return -1, -1
	}
	before, _, _ := strings.Cut(string(content), text)
	return strings.Count(before, "\n") + 1, len(before) - strings.LastIndex(before, "\n")
}
