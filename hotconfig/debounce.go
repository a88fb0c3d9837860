package hotconfig

import "time"

// debounce turns a burst of signals into one action: when it has been quiet for a while, or at the latest some time after
// the first signal. It has no clock of its own.
type debounce struct {
	quiet, most time.Duration
	first, last time.Time // of the signals not yet acted on; zero if there are none
}

// signal notes that something may have changed.
func (d *debounce) signal(now time.Time) {
	if d.first.IsZero() {
		d.first = now
	}
	d.last = now
}

// wait returns how long to wait before acting, if there is anything to act on.
func (d *debounce) wait(now time.Time) (time.Duration, bool) {
	if d.first.IsZero() {
		return 0, false
	}
	due := d.last.Add(d.quiet)
	if latest := d.first.Add(d.most); latest.Before(due) {
		due = latest
	}
	return max(due.Sub(now), 0), true
}

// reset forgets the signals: they are being acted on.
func (d *debounce) reset() { d.first, d.last = time.Time{}, time.Time{} }
